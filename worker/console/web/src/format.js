// How things are written for people. Amounts stay decimal text from the database to the screen: no floats.

export function group(text) {
  const match = /^(-?)(\d+)(\.\d+)?$/.exec(String(text));
  if (!match) return String(text);
  return match[1] + match[2].replace(/\B(?=(\d{3})+(?!\d))/g, ',') + (match[3] ?? '');
}

export function count(number) {
  return number === undefined || number === null ? '–' : group(Math.round(number));
}

export function plural(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

export function rate(number) {
  if (number === undefined || number === null) return '–';
  return number >= 100 || number === 0 ? count(number) : number.toFixed(1);
}

export function seconds(number) {
  if (number === undefined || number === null) return '–';
  if (number < 1) return `${Math.round(number * 1000)} ms`;
  if (number < 60) return `${number.toFixed(1)} s`;
  if (number < 3600) return `${Math.floor(number / 60)} min ${Math.round(number % 60)} s`;
  if (number < 86400) return `${Math.floor(number / 3600)} h ${Math.floor(number % 3600 / 60)} min`;
  return `${Math.floor(number / 86400)} d ${Math.floor(number % 86400 / 3600)} h`;
}

export function ago(instant, now = Date.now()) {
  if (!instant) return 'never';
  const passed = (now - Date.parse(instant)) / 1000;
  return passed < 1 ? 'now' : `${seconds(Math.max(0, passed))} ago`;
}

// An instant as it is stored, in UTC, without the letter between date and time.
export function instant(text) {
  if (!text) return '–';
  return text.replace('T', ' ').replace(/(\.\d*?)0+(?=Z|$)/, '$1').replace(/\.(?=Z|$)/, '').replace(/Z$|\+00(:00)?$/, '');
}

export function percent(part, whole) {
  if (!whole) return '–';
  const share = 100 * part / whole;
  return `${share > 0 && share < 0.1 ? '<0.1' : share.toFixed(share === 100 || share === 0 ? 0 : 1)} %`;
}

export function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

// The ticks of a time axis in UTC: days as dates, less as time of day. The year stands below the first one, and wherever
// it is another than before; under a time of day, the day as well.
export function timeTicks(ticks, step) {
  let told = '';
  return ticks.map((tick) => {
    const [day, time] = new Date(tick * 1000).toISOString().split('T');
    const above = step >= 86400 ? day.slice(5) : time.slice(0, step < 60 ? 8 : 5);
    const below = step >= 86400 ? day.slice(0, 4) : day;
    const text = below === told ? above : `${above}\n${below}`;
    told = below;
    return text;
  });
}
