// The stored events, newest first, with filters, pages and export; a row opens into raw and canonical.
import { useState } from 'preact/hooks';
import { get } from '../api.js';
import { group, instant } from '../format.js';
import { useLoad } from '../hooks.js';
import { Canonical, Pager, Pairs, ProblemNotice, Scroll, origin, usePages } from '../parts/bits.jsx';
import { CopyButton } from '../parts/copy.jsx';
import { Dialog } from '../parts/dialog.jsx';
import { Download } from '../parts/download.jsx';
import { Filters, chosen } from '../parts/filters.jsx';
import { Headers, Raw } from '../parts/raw.jsx';

const PATH = '/api/v1/events';
const PAGE_ROWS = 50;
const FOLLOW_MS = 2000;
const FIELDS = [
  { name: 'q', label: 'Search', type: 'search', placeholder: 'in client and metric' },
  { name: 'client', label: 'Client' },
  { name: 'metric', label: 'Metric' },
  { name: 'from', label: 'From day (UTC)', type: 'date' },
  { name: 'to', label: 'Before day (UTC)', type: 'date' },
  { name: 'amount_min', label: 'Amount from', inputmode: 'decimal' },
  { name: 'amount_max', label: 'Amount to', inputmode: 'decimal' },
  { name: 'hash', label: 'Hash' },
];

function RawOrigin({ of }) {
  const { data, problem } = useLoad((signal) => get(`/api/v1/messages/${of.partition}/${of.offset}/raw`, {}, { signal }),
    origin(of));
  if (problem?.status === 404) return <p class="muted">Kafka no longer holds this message: {problem.message}</p>;
  if (problem) return <ProblemNotice problem={problem} />;
  if (!data) return <p class="muted">Reading it from Kafka…</p>;
  return (
    <>
      <Raw message={data} />
      <Pairs rows={[['key', data.key_text && <code>{data.key_text}</code>], ['sent', data.timestamp && instant(data.timestamp)]]} />
      <Headers headers={data.headers} />
    </>
  );
}

function EventDialog({ event, onClose }) {
  return (
    <Dialog wide title="Stored event" onClose={onClose}>
      <div class="columns">
        <section>
          <h3>As it came: {origin(event.origin)}</h3>
          <RawOrigin of={event.origin} />
        </section>
        <section>
          <h3>As it is stored</h3>
          <Canonical event={event} />
          <Pairs rows={[['stored', instant(event.ingested_at)]]} />
          <div class="buttons">
            <CopyButton text={event.event_hash} what="the hash">Copy hash</CopyButton>
            <CopyButton text={() => JSON.stringify(event, null, 2)} what="the event">Copy as JSON</CopyButton>
          </div>
        </section>
      </div>
    </Dialog>
  );
}

function Row({ event, onOpen }) {
  return (
    <tr>
      <td class="nowrap"><button type="button" class="row" onClick={onOpen}>{instant(event.timestamp)}</button></td>
      <td>{event.client_id}</td>
      <td>{event.metric}</td>
      <td class="number">{group(event.amount)}</td>
      <td><code title={event.event_hash}>{event.event_hash.slice(0, 8)}</code></td>
      <td class="nowrap">{instant(event.ingested_at).slice(0, 19)}</td>
      <td><code>{event.origin.partition}/{event.origin.offset}</code></td>
    </tr>
  );
}

function Table({ events, onOpen }) {
  return (
    <Scroll label="Stored events">
      <table>
        <caption class="visually-hidden">Stored events, newest first. The time opens an event.</caption>
        <thead>
          <tr>
            <th scope="col">Time (UTC)</th><th scope="col">Client</th><th scope="col">Metric</th>
            <th scope="col" class="number">Amount</th><th scope="col">Hash</th><th scope="col">Stored</th>
            <th scope="col">Partition/offset</th>
          </tr>
        </thead>
        <tbody>
          {events.map((event) => <Row key={event.event_hash} event={event} onOpen={() => onOpen(event)} />)}
        </tbody>
      </table>
    </Scroll>
  );
}

export function Processed({ params }) {
  const [open, setOpen] = useState(null);
  const [follow, setFollow] = useState(false);
  const filters = chosen(params, FIELDS.map(({ name }) => name));
  const key = JSON.stringify(filters);
  const pages = usePages(key);
  const { data, problem, loading, reload } = useLoad(
    (signal) => get(PATH, { ...filters, limit: PAGE_ROWS, cursor: pages.cursor }, { signal }),
    `${key} ${pages.cursor}`, { every: follow && pages.number === 1 ? FOLLOW_MS : 0 });
  const events = data?.events;
  return (
    <>
      <Filters view="processed" params={params} fields={FIELDS} />
      <ProblemNotice problem={problem} />
      <div class="buttons spaced">
        <button type="button" onClick={reload}>Refresh</button>
        <label class="check">
          <input type="checkbox" checked={follow} onChange={(event) => setFollow(event.currentTarget.checked)} />Follow
        </label>
        <span class="push">Export:</span>
        {['csv', 'ndjson'].map((format) => (
          <Download key={format} path={PATH} query={{ ...filters, format }} filename={`events.${format}`}>{format.toUpperCase()}</Download>
        ))}
      </div>
      {events?.length === 0 && <p class="notice">{key === '{}' ? 'Nothing is stored yet.' : 'No event matches these filters.'}</p>}
      {events?.length > 0 && <Table events={events} onOpen={setOpen} />}
      {!events && loading && <p class="muted">Loading…</p>}
      {events && <Pager pages={pages.with(data.next_cursor)} shown={`Page ${pages.number}`} />}
      {open && <EventDialog event={open} onClose={() => setOpen(null)} />}
    </>
  );
}
