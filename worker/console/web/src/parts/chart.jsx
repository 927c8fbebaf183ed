// Lines over time, drawn by uPlot. It sits on a canvas: what it shows is said in `label`, and in a table beside it.
import { useEffect, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import { timeTicks } from '../format.js';
import { useEvent } from '../hooks.js';

const HEIGHT = 240;
// Told apart in both themes and by people who do not tell red from green.
export const COLOURS = ['#0f8a80', '#c9721c', '#5b6fd6', '#b2417f', '#7a8b1e', '#2f8fc4', '#8a6a4f'];

// Custom properties hold light-dark(); only a real property gives the colour that is in force.
function resolved(name, element) {
  const probe = document.createElement('span');
  probe.style.color = `var(${name})`;
  element.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

function options({ series, element, size, bars, format }) {
  const text = resolved('--muted', element);
  const grid = { stroke: resolved('--line', element), width: 1 };
  const axis = { stroke: text, grid, ticks: grid };
  return {
    width: element.clientWidth,
    height: HEIGHT,
    tzDate: (at) => uPlot.tzDate(new Date(at * 1000), 'Etc/UTC'),
    cursor: { y: false },
    scales: { y: { range: (_, low, high) => [Math.min(0, low), high > 0 ? high * 1.05 : 1] } },
    axes: [{ ...axis, values: (_, ticks, axis, space, step) => timeTicks(ticks, step), space: 75 }, { ...axis, size: 70, values: (_, ticks) => ticks.map(format) }],
    series: [{ label: 'time (UTC)', value: '{YYYY}-{MM}-{DD} {HH}:{mm}:{ss}' }, ...series.map((name, index) => ({
      label: name, stroke: COLOURS[index % COLOURS.length], width: 2,
      points: { show: size < 60 },
      value: (_, value) => (value === null || value === undefined ? '–' : format(value)),
      ...(bars && { paths: uPlot.paths.bars({ size: [0.7] }), fill: `${COLOURS[index % COLOURS.length]}88`, points: { show: false } }),
    }))],
  };
}

// times: seconds; series: names; values: an array for each name.
export function Chart({ times, series, values, label, format = (number) => number.toLocaleString('en'), bars = false }) {
  const element = useRef(null);
  const plot = useRef(null);
  const [drawing, setDrawing] = useState(0);
  const shape = `${series.join('\n')}|${bars}|${times.length < 60}|${drawing}`;
  const again = () => setDrawing((before) => before + 1);
  useEvent('themechange', again);
  useEvent('change', again, matchMedia('(prefers-color-scheme: dark)'));
  useEvent('resize', () => plot.current?.setSize({ width: element.current.clientWidth, height: HEIGHT }));
  useEffect(() => {
    plot.current = new uPlot(options({ series, element: element.current, size: times.length, bars, format }),
      [times, ...values], element.current);
    return () => plot.current.destroy();
  }, [shape]);
  useEffect(() => plot.current.setData([times, ...values]), [times, values]);
  return <div class="chart" role="img" aria-label={label} ref={element}></div>;
}
