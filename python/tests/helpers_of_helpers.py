"""What the helper needs itself."""


def double(x):
    return 2 * x
