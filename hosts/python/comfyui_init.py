"""Nodes of ComfyUI for solver files of `gas`. Copy the folder into custom_nodes; solver files lie in it."""

from .gas_comfyui import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS

__all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS"]
