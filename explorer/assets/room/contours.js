// Lines of equal height over a grid of numbers: marching squares over the cells.

/**
 * Add the line at `level` to the path that is open on the canvas.
 * `at(row, column)` is a height; `place(row, column)` is where it lies on the canvas.
 */
export function traceContour(context, rows, columns, at, level, place) {
  const above = (row, column) => at(row, column) >= level;
  for (let row = 0; row + 1 < rows; row++) {
    for (let column = 0; column + 1 < columns; column++) {
      const low = above(row, column);
      if (low === above(row, column + 1) && low === above(row + 1, column) && low === above(row + 1, column + 1)) continue;
      const corners = [[row, column], [row, column + 1], [row + 1, column + 1], [row + 1, column]];
      const crossed = [];
      for (let i = 0; i < 4; i++) {
        const [from, to] = [corners[i], corners[(i + 1) % 4]];
        const [a, b] = [at(...from) - level, at(...to) - level];
        if (a >= 0 === b >= 0 || !Number.isFinite(a - b)) continue;
        const t = a / (a - b);
        crossed.push(place(from[0] + (to[0] - from[0]) * t, from[1] + (to[1] - from[1]) * t));
      }
      for (let i = 0; i + 1 < crossed.length; i += 2) {
        context.moveTo(...crossed[i]);
        context.lineTo(...crossed[i + 1]);
      }
    }
  }
}
