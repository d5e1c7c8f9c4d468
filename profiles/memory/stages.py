"""How pipeline parallelism divides layers."""


def stage_bounds(layers: int, stages: int) -> tuple[tuple[int, int], ...]:
    """First layer and the one behind the last, of each stage (vLLM 0.32, distributed/utils.py).

    What does not divide goes to the middle stages first, the last stage gets none of it.
    """
    sizes = [layers // stages] * stages
    for number in range(layers % stages):
        sizes[-(number + 2)] += 1
    bounds = []
    start = 0
    for size in sizes:
        bounds.append((start, start + size))
        start += size
    return tuple(bounds)
