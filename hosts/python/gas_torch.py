"""A network in PyTorch as one that `gas_pipe.serve` takes: tensors for arrays, and the gradient by autograd.

    class Mine(TorchNetwork):
        def output(self, x, level, ask):            # tensors on the device: x [B,...], level.t, .alpha, .sigma [B]
            return net(x, level.t * 1000)

    serve({"name": "mine", ...}, Mine("cuda"))
"""

import hashlib

import torch

if __package__:
    from .gas_pipe import Level
else:
    from gas_pipe import Level


def hash_of(tensors):
    """The SHA-256 of tensors by name, as they are in memory: solver files and teacher data belong to them."""
    total = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        total.update(name.encode())
        total.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return total.hexdigest()


class TorchNetwork:
    def __init__(self, device="cpu", dtype=torch.float32):
        self.device, self.dtype = torch.device(device), dtype

    def output(self, x, level, ask):
        """x [B,...] and level (t, alpha, sigma [B] float32 each) to the network's output, differentiable in all of them
        that it uses; ask: gas_pipe.Ask, whose labels and conditions are as they came."""
        raise NotImplementedError

    def predict(self, x, ask):
        with torch.no_grad():
            output = self.output(self.tensor(x), self._level(len(x), ask), ask)
        return output.float().cpu().numpy()

    def gradient(self, x, ask, output_gradient):
        state, level = self.tensor(x), self._level(len(x), ask)
        inputs = [state, *level]
        for tensor in inputs:
            tensor.requires_grad_()
        with torch.enable_grad():
            output = self.output(state, level, ask)
        found = torch.autograd.grad(output, inputs, self.tensor(output_gradient).to(output.dtype), allow_unused=True)
        by_x, *by_level = [torch.zeros_like(i) if g is None else g for i, g in zip(inputs, found)]
        return by_x.float().cpu().numpy(), torch.stack(by_level, 1).double().cpu().numpy()

    def tensor(self, array):
        return torch.tensor(array).to(self.device, self.dtype)

    def _level(self, batch, ask):
        return Level(*(torch.full((batch,), value, device=self.device) for value in (ask.t, ask.alpha, ask.sigma)))


class TorchDecoder(TorchNetwork):
    """A network whose states are decoded to images, with their gradient: the first line says "decode"."""

    def images(self, x):
        """States [B,...] to images [B,3,H,W] in [-1,1], differentiable."""
        raise NotImplementedError

    def decode(self, x):
        with torch.no_grad():
            return self.images(self.tensor(x)).float().cpu().numpy()

    def decode_gradient(self, x, image_gradient):
        state = self.tensor(x).requires_grad_()
        with torch.enable_grad():
            images = self.images(state)
        found = torch.autograd.grad(images, state, self.tensor(image_gradient).to(images.dtype))
        return found[0].float().cpu().numpy()
