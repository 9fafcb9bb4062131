"""What the references of other projects' models share: weights worth looking at, and files."""

import json

import cv2
import numpy as np
import torch

CONF = 0.3


def spread(layers, look, most=40):
    """Make the scores of last layers differ: about ``most`` above one half, few near to ``CONF``.

    Args:
        layers: What gives the logits.
        look: Runs the net on the pictures.
        most: How many logits of all layers together shall be above zero.
    """
    seen = {}
    hooks = [
        layer.register_forward_hook(
            lambda module, _, out: seen.setdefault(module, []).append(out.detach())
        )
        for layer in layers
    ]
    with torch.no_grad():
        look()
        for hook in hooks:
            hook.remove()
        every = torch.cat([out.flatten() for outs in seen.values() for out in outs])
        best = every.topk(min(most, len(every))).values
        first, last = float(best[0]), float(best[-1])
        # Neither all scores 1, among which the order is chance, nor the crowd near the threshold.
        scale = max(3 / max(1e-9, first - last), 4 / max(1e-9, last - float(every.mean())))
        for layer in seen:
            layer.weight.mul_(scale)
            layer.bias.sub_(last).mul_(scale)


def lively(net):
    """Weights by which what is in a picture matters, which a transformer's first weights are not.

    They leave all boxes' scores alike to the third digit, and spreading those spreads rounding.
    """
    for part in net.modules():
        if isinstance(part, torch.nn.Linear):
            torch.nn.init.xavier_uniform_(part.weight)
        elif isinstance(part, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(part.weight)


def settle(net, look):
    """Give a net's norms the statistics of pictures, without which random layers fade out."""
    norms = [part for part in net.modules() if isinstance(part, torch.nn.BatchNorm2d)]
    hooks = [norm.register_forward_pre_hook(_take) for norm in norms]
    with torch.no_grad():
        look()
    for hook in hooks:
        hook.remove()


def _take(norm, given):
    values = given[0].transpose(0, 1).flatten(1)
    if values.shape[1] > 1:
        norm.running_mean.copy_(values.mean(1))
        norm.running_var.copy_(values.var(1))


def looking(net, pictures, size, several=False):
    """What runs a net on all pictures, 0..1."""

    def look():
        for picture in pictures:
            image = cv2.resize(cv2.imread(picture), (size, size))[..., ::-1].copy()
            image = torch.from_numpy(image).permute(2, 0, 1) / 255
            net([image] if several else image[None])

    return look


class Part(torch.nn.Module):
    """A net of which a function picks what an export shall give."""

    def __init__(self, net, pick):
        super().__init__()
        self.net, self.pick = net, pick
        self.eval()

    def forward(self, image):
        return self.pick(self.net(image))


def described(path, **fields):
    """Write what the file does not tell."""
    path.write_text("".join(f"{key}: {json.dumps(value)}\n" for key, value in fields.items()))


def rows(boxes, scores, classes):
    """Boxes, scores and classes as rows of numbers."""
    return [
        [*map(float, box), float(score), int(number)]
        for box, score, number in zip(
            np.asarray(boxes), np.asarray(scores), np.asarray(classes), strict=True
        )
    ]


def prepared(folder, kind, pictures, prepare):
    """Pictures as a package lays them into the net's input, each as a file beside the picture's.

    Random weights make much of little: a pixel that is off by one of 255 may change the order of
    hundreds of boxes. So what a net finds is compared on these pictures, which nobody resizes, and
    how livevision lays the others in is compared pixel for pixel.

    Args:
        folder, kind: Where they lie, and of which family.
        pictures: Paths.
        prepare: Makes of a picture, H×W×3 RGB, one of the input's size, in 0..255.

    Returns:
        Paths of the prepared pictures.
    """
    made = {}
    for number, picture in enumerate(pictures):
        laid = np.asarray(prepare(cv2.imread(picture)[..., ::-1].copy()))
        path = str(folder / f"{kind}-input-{number}.png")
        cv2.imwrite(path, np.rint(laid).clip(0, 255).astype(np.uint8)[..., ::-1])
        made[picture] = path
    (folder / f"{kind}.inputs").write_text(json.dumps(made))
    return list(made.values())


def class_map(folder, name, number, found):
    """Keep a class map beside the file."""
    path = folder / f"{name}-{number}.png"
    cv2.imwrite(str(path), np.asarray(found, np.uint8))
    return {"map": path.name}


def top(scores):
    """The five likeliest classes of a tensor of probabilities."""
    best = scores.topk(5)
    return {"top": [[int(c), float(p)] for c, p in zip(best.indices, best.values, strict=True)]}
