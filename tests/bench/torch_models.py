"""The models in plain torch.nn, as those of src/nn/model.c. Each takes torch.nn, the number of
channels and the side of the images."""


def vgg(nn, blocks, channels, _size):
    """Simonyan and Zisserman, arXiv:1409.1556, with global average pooling for a head."""
    layers = []
    for count, width in zip(blocks, (64, 128, 256, 512, 512)):
        for _ in range(count):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
            channels = width
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 1))


def xception(nn, channels, _size):
    """Chollet, arXiv:1610.02357, with Keras' paddings and batch normalisation."""
    def norm(c):
        return nn.BatchNorm2d(c, eps=1e-3, momentum=0.01)

    def separable(c, k):
        return [nn.Conv2d(c, c, 3, padding=1, groups=c, bias=False),
                nn.Conv2d(c, k, 1, bias=False), norm(k)]

    class Residual(nn.Module):
        def __init__(self, c, widths, halve, first_relu=True):
            super().__init__()
            body, at = [], c
            for i, k in enumerate(widths):
                if i > 0 or first_relu:
                    # Not in place, since the shortcut reads the same input.
                    body.append(nn.ReLU())
                body += separable(at, k)
                at = k
            self.shortcut = nn.Identity()
            if halve:
                body.append(nn.MaxPool2d(3, 2, 1))
                self.shortcut = nn.Sequential(nn.Conv2d(c, at, 1, stride=2, bias=False), norm(at))
            self.body = nn.Sequential(*body)

        def forward(self, x):
            return self.body(x) + self.shortcut(x)

    entry = [nn.Conv2d(channels, 32, 3, stride=2, bias=False), norm(32), nn.ReLU(),
             nn.Conv2d(32, 64, 3, bias=False), norm(64), nn.ReLU(),
             Residual(64, (128, 128), True, first_relu=False),
             Residual(128, (256, 256), True), Residual(256, (728, 728), True)]
    middle = [Residual(728, (728, 728, 728), False) for _ in range(8)]
    leave = [Residual(728, (728, 1024), True), *separable(1024, 1536), nn.ReLU(),
             *separable(1536, 2048), nn.ReLU()]
    return nn.Sequential(*entry, *middle, *leave, nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(2048, 1))


def cnn_deep(nn, channels, _size):
    """As build_cnn_deep in src/nn/model.c."""
    layers = []
    for block, width in enumerate((24, 48, 96, 160, 256)):
        if block > 0:
            layers.append(nn.MaxPool2d(2, ceil_mode=True))
        for _ in range(2):
            layers += [nn.Conv2d(channels, width, 3, padding=1, bias=False),
                       nn.BatchNorm2d(width, eps=1e-3), nn.ReLU(inplace=True)]
            channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 1))


def mlp2(nn, channels, size):
    """As build_mlp2 in src/nn/model.c."""
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * size * size, 128), nn.ReLU(),
                         nn.Linear(128, 1))


MODELS = {
    "mlp2": mlp2,
    "cnn-deep": cnn_deep,
    "vgg16": lambda nn, *shape: vgg(nn, (2, 2, 3, 3, 3), *shape),
    "vgg19": lambda nn, *shape: vgg(nn, (2, 2, 4, 4, 4), *shape),
    "xception": xception,
}
