// Counts and sums by client, metric and time, as a table and over time; as CSV, JSON and SQL for elsewhere.
import { get } from '../api.js';
import { count, group, instant, plural } from '../format.js';
import { useLoad } from '../hooks.js';
import { go } from '../route.js';
import { linesOf } from '../series.js';
import { ProblemNotice, Scroll } from '../parts/bits.jsx';
import { CopyButton } from '../parts/copy.jsx';
import { Chart } from '../parts/chart.jsx';
import { Download } from '../parts/download.jsx';
import { Filters, chosen } from '../parts/filters.jsx';

const PATH = '/api/v1/aggregates';
const CHART_ROWS = 20000;
const FIELDS = [
  { name: 'q', label: 'Search', type: 'search', placeholder: 'in client and metric' },
  { name: 'client', label: 'Client' },
  { name: 'metric', label: 'Metric' },
  { name: 'from', label: 'From day (UTC)', type: 'date' },
  { name: 'to', label: 'Before day (UTC)', type: 'date' },
];
const COLUMNS = { client: ['client_id', 'Client'], metric: ['metric', 'Metric'], hour: ['hour', 'Hour (UTC)'], day: ['day', 'Day (UTC)'] };

function Toggles({ by, onChange }) {
  const toggle = (name) => {
    // Hour and day exclude each other.
    const without = by.filter((other) => other !== name && !(name === 'hour' && other === 'day') && !(name === 'day' && other === 'hour'));
    onChange(by.includes(name) ? without : Object.keys(COLUMNS).filter((each) => each === name || without.includes(each)));
  };
  return (
    <fieldset class="toggles">
      <legend>Group by</legend>
      {Object.keys(COLUMNS).map((name) => (
        <label key={name} class="check">
          <input type="checkbox" name={`by-${name}`} checked={by.includes(name)} onChange={() => toggle(name)} />{name}
        </label>
      ))}
    </fieldset>
  );
}

function cell(name, value) {
  return name === 'hour' ? instant(value).slice(0, 16) : value;
}

function Table({ data }) {
  const { by, rows, total } = data;
  return (
    <Scroll label="Aggregates">
      <table>
        <caption class="visually-hidden">Counts and sums{by.length > 0 && ` by ${by.join(', ')}`}</caption>
        <thead>
          <tr>
            {by.map((name) => <th key={name} scope="col">{COLUMNS[name][1]}</th>)}
            <th scope="col" class="number">Events</th><th scope="col" class="number">Sum of amounts</th>
          </tr>
        </thead>
        <tbody>
          {by.length > 0 && rows.map((row) => (
            <tr key={by.map((name) => row[COLUMNS[name][0]]).join('\n')}>
              {by.map((name) => <td key={name}>{cell(name, row[COLUMNS[name][0]])}</td>)}
              <td class="number">{count(row.event_count)}</td><td class="number">{group(row.amount_sum)}</td>
            </tr>
          ))}
        </tbody>
        <tfoot>
          <tr>
            {by.length > 0 && <th scope="row" colSpan={by.length}>All</th>}
            <td class="number">{count(total.event_count)}</td><td class="number">{group(total.amount_sum)}</td>
          </tr>
        </tfoot>
      </table>
    </Scroll>
  );
}

function OverTime({ params, filters, by }) {
  const unit = by.includes('hour') ? 'hour' : 'day';
  const split = by.find((name) => name === 'client' || name === 'metric');
  const measure = params.measure === 'sum' ? 'amount_sum' : 'event_count';
  const query = { ...filters, by: [split, unit].filter(Boolean).join(','), limit: CHART_ROWS };
  const { data, problem } = useLoad((signal) => get(PATH, query, { signal }), JSON.stringify(query));
  const choose = (event) => go('aggregates', { ...params, measure: event.currentTarget.value }, { replace: true });
  const lines = data?.rows.length > 0 && linesOf(data.rows, { column: split && COLUMNS[split][0], unit, measure });
  return (
    <section class="card">
      <div class="buttons heading">
        <h2>{measure === 'amount_sum' ? 'Sum of amounts' : 'Events'} by {unit}{split && ` and ${split}`}</h2>
        <label class="push inline">Show{' '}
          <select name="measure" value={params.measure ?? ''} onChange={choose}>
            <option value="">events</option><option value="sum">sum of amounts</option>
          </select>
        </label>
      </div>
      <ProblemNotice problem={problem} />
      {lines && (
        <Chart {...lines} bars={lines.series.length === 1} label={`${measure === 'amount_sum' ? 'Sum of amounts' : 'Events'} by ${unit} for ${
          lines.series.join(', ')}; the same figures are in the table when grouped by ${unit}`} />
      )}
      {data?.truncated && <p class="muted">Only the first {plural(CHART_ROWS, 'point')} are drawn. Narrow the time.</p>}
    </section>
  );
}

export function Aggregates({ params }) {
  const by = (params.by ?? 'client,metric').split(',').filter((name) => Object.hasOwn(COLUMNS, name));
  const filters = chosen(params, FIELDS.map(({ name }) => name));
  const query = { ...filters, by: by.join(',') };
  const { data, problem, loading, reload } = useLoad((signal) => get(PATH, query, { signal }), JSON.stringify(query));
  const change = (names) => go('aggregates', { ...params, by: names.join(',') || 'none' }, { replace: true });
  return (
    <>
      <Filters view="aggregates" params={params} fields={FIELDS} keep={{ by: params.by, measure: params.measure }} />
      <div class="buttons spaced">
        <Toggles by={by} onChange={change} />
        <button type="button" onClick={reload}>Refresh</button>
        <span class="push">Export:</span>
        {['csv', 'json'].map((format) => (
          <Download key={format} path={PATH} query={{ ...query, format, limit: 100000 }} filename={`aggregates.${format}`}>{format.toUpperCase()}</Download>
        ))}
        <CopyButton text={() => data.sql} what="the SQL" disabled={!data}>Copy as SQL</CopyButton>
      </div>
      <ProblemNotice problem={problem} />
      {!data && loading && <p class="muted">Loading…</p>}
      {data && data.total.event_count === 0 && <p class="notice">Nothing is stored that these filters let through.</p>}
      <OverTime params={params} filters={filters} by={by} />
      {data && <Table data={data} />}
      {data?.truncated && <p class="muted">The first {count(data.rows.length)} rows. The export has more.</p>}
      {data && <details><summary>The same in SQL</summary><pre tabIndex={0} aria-label="SQL">{data.sql}</pre></details>}
    </>
  );
}
