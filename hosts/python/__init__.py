"""A link to this folder in ComfyUI's custom_nodes is a node that serves models to `gas` (gas_comfyui_worker.py)."""

if __package__:  # not where a test runner looks at the folder
    from .gas_comfyui_worker import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS

    __all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS"]
