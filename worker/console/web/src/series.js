// Figures as charts take them.

const LINES_MOST = 6;
const OTHERS = 'others';
const RATE_OVER_MS = 3000;

const STEP_S = { hour: 3600, day: 86400 };

// Where rows are missing nothing was: the ends of each such gap are times of their own, so that no line crosses it.
function withEnds(times, step) {
  return times.flatMap((time, index) => {
    const before = times[index - 1];
    if (index === 0 || time - before <= step) return [time];
    return before + step === time - step ? [time - step, time] : [before + step, time - step, time];
  });
}

// Rows (one a time and a name) → what the chart takes; the smallest names are added up as one line.
export function linesOf(rows, { column, unit, measure }) {
  const value = (row) => Number(row[measure]);
  const name = (row) => (column ? row[column] : 'all');
  const sizes = new Map();
  for (const row of rows) sizes.set(name(row), (sizes.get(name(row)) ?? 0) + Math.abs(value(row)));
  const largest = [...sizes].sort((a, b) => b[1] - a[1]).slice(0, LINES_MOST).map(([each]) => each);
  const series = sizes.size > LINES_MOST ? [...largest, OTHERS] : largest;
  const times = withEnds([...new Set(rows.map((row) => Date.parse(row[unit]) / 1000))].sort((a, b) => a - b), STEP_S[unit]);
  const at = new Map(times.map((time, index) => [time, index]));
  const values = series.map(() => times.map(() => 0));
  for (const row of rows) {
    const line = largest.includes(name(row)) ? largest.indexOf(name(row)) : series.length - 1;
    values[line][at.get(Date.parse(row[unit]) / 1000)] += value(row);
  }
  return { times, series, values };
}

// Differences of totals, for each second between neighbours.
export function ratesOf(history, name) {
  return history.map((entry, index) => {
    const before = history[Math.max(0, index - 1)];
    return entry.at > before.at ? (entry[name] - before[name]) * 1000 / (entry.at - before.at) : null;
  });
}

// Over the last seconds; undefined when there is nothing to compare with.
export function rateNow(history, name) {
  const last = history.at(-1);
  const before = history.findLast((entry) => entry.at <= last.at - RATE_OVER_MS) ?? history[0];
  return last.at > before.at ? (last[name] - before[name]) * 1000 / (last.at - before.at) : undefined;
}
