// What failed and why: by group, one by one, and what people did about it.
import { useState } from 'preact/hooks';
import { get } from '../api.js';
import { count, instant, plural } from '../format.js';
import { useLoad } from '../hooks.js';
import { useCounters } from '../live.js';
import { go, href } from '../route.js';
import { Pager, ProblemNotice, Scroll, State, origin, usePages } from '../parts/bits.jsx';
import { FailedItem } from '../parts/failed_item.jsx';
import { DiscardGroup, RetryGroup } from '../parts/failed_group.jsx';
import { Filters, chosen } from '../parts/filters.jsx';
import { mayOperate, useSession } from '../session.js';

const PATH = '/api/v1/failed';
const EVERY_MS = 5000;
const PAGE_ROWS = 50;
const REASONS = ['empty', 'too_large', 'invalid_json', 'invalid_utf8', 'nul_character', 'too_deep', 'not_an_object',
  'unsupported_framing', 'client_id_missing', 'client_id_invalid', 'metric_missing', 'metric_invalid', 'amount_invalid',
  'amount_out_of_range', 'timestamp_invalid', 'timestamp_out_of_range', 'idempotency_key_invalid', 'database_rejected',
  'crashed_worker'];
const FIELDS = [
  { name: 'state', label: 'State', options: [['', 'open'], ['retried', 'retried'], ['resolved', 'resolved'],
    ['discarded', 'discarded'], ['all', 'all']] },
  { name: 'reason', label: 'Reason', options: [['', 'all'], ...REASONS.map((reason) => [reason, reason])] },
  { name: 'client', label: 'Client' },
  { name: 'from', label: 'From day (UTC)', type: 'date' },
  { name: 'to', label: 'Before day (UTC)', type: 'date' },
];
const PLACE = /^\d+\/\d+$/; // partition/offset
const SHOWS = [['', 'Groups'], ['items', 'One by one'], ['history', 'History']];
// In the address: the client of those whose client nobody could tell. The API takes an empty parameter for it.
const NOBODY = '(unknown)';

function queryOf(params) {
  return chosen(params, FIELDS.map(({ name }) => name));
}

function address(path, filters, more = {}) {
  const given = new URLSearchParams({ ...filters, ...more });
  if (filters.client === NOBODY) given.set('client', '');
  return `${path}?${given}`;
}

function Group({ group, may, params, onRetry, onDiscard }) {
  const client = group.client_id ?? NOBODY;
  const only = href('failed', { ...params, show: 'items', reason: group.reason, client });
  return (
    <tr>
      <td><a href={only}><code>{group.reason}</code></a></td>
      <td>{client}</td>
      <td class="number">{count(group.count)}</td>
      <td class="nowrap">{instant(group.last_failed_at).slice(0, 19)}</td>
      <td class="text"><div class="small">{group.sample.detail}</div>
        <button type="button" class="row" onClick={() => go('failed', { ...params, item: origin(group.sample) })}>
          <code class="clip">{group.sample.value_preview ?? `(${plural(group.sample.value_bytes ?? 0, 'byte')})`}</code>
        </button></td>
      {may && (
        <td class="actions">
          <button type="button" onClick={onRetry} aria-label={`Retry group ${group.reason} of ${client}`}>Retry</button>{' '}
          <button type="button" class="danger" onClick={onDiscard} aria-label={`Discard group ${group.reason} of ${client}`}>Discard</button>
        </td>
      )}
    </tr>
  );
}

function Groups({ params, session }) {
  const filters = queryOf(params);
  const counters = useCounters();
  const { data, problem, loading, reload } = useLoad((signal) => get(address(PATH, filters), {}, { signal }),
    `${JSON.stringify(filters)} ${counters?.failed_open}`, { every: EVERY_MS });
  const [asked, setAsked] = useState(null);
  const may = !params.state && mayOperate(session);
  const done = () => {
    setAsked(null);
    reload();
  };
  return (
    <>
      <ProblemNotice problem={problem} />
      {!data && loading && <p class="muted">Loading…</p>}
      {data?.groups.length === 0 && <p class="notice good">{Object.keys(filters).length ? 'No failure matches these filters.' : 'No failure waits for anybody.'}</p>}
      {data?.groups.length > 0 && (
        <Scroll label="Failures by reason and client">
          <table>
            <caption class="visually-hidden">Failures by reason and client, with the latest of each</caption>
            <thead>
              <tr><th scope="col">Reason</th><th scope="col">Client</th><th scope="col" class="number">Failures</th>
                <th scope="col">Latest (UTC)</th><th scope="col">For example</th>{may && <th scope="col">Actions</th>}</tr>
            </thead>
            <tbody>
              {data.groups.map((group) => (
                <Group key={`${group.reason} ${group.client_id}`} group={group} may={may} params={params}
                  onRetry={() => setAsked({ group, Action: RetryGroup })} onDiscard={() => setAsked({ group, Action: DiscardGroup })} />
              ))}
            </tbody>
            <tfoot><tr><th scope="row" colSpan={2}>All</th><td class="number">{count(data.total)}</td><td colSpan={may ? 3 : 2}></td></tr></tfoot>
          </table>
        </Scroll>
      )}
      {data?.truncated && <p class="muted">The largest 500 groups.</p>}
      {asked && <asked.Action group={asked.group} onClose={done} onUndone={reload} />}
    </>
  );
}

function ItemRow({ item, params }) {
  const open = () => go('failed', { ...params, item: origin(item) });
  return (
    <tr>
      <td class="nowrap"><button type="button" class="row" onClick={open}>{instant(item.failed_at).slice(0, 19)}</button></td>
      <td><code>{origin(item)}</code></td>
      <td><code>{item.reason}</code></td>
      <td>{item.client_id ?? NOBODY}</td>
      <td><State of={item.state} /></td>
      <td class="text"><div class="small">{item.detail}</div><code class="clip">{item.value_preview}</code></td>
    </tr>
  );
}

function Items({ params }) {
  const filters = queryOf(params);
  const key = JSON.stringify(filters);
  const pages = usePages(key);
  const { data, problem, loading } = useLoad(
    (signal) => get(address(`${PATH}/items`, filters, { limit: PAGE_ROWS, ...(pages.cursor && { cursor: pages.cursor }) }), {}, { signal }),
    `${key} ${pages.cursor} ${params.item ?? ''}`, { every: EVERY_MS });
  return (
    <>
      <ProblemNotice problem={problem} />
      {!data && loading && <p class="muted">Loading…</p>}
      {data?.items.length === 0 && <p class="notice">No failure matches these filters.</p>}
      {data?.items.length > 0 && (
        <Scroll label="Failures">
          <table>
            <caption class="visually-hidden">Failures, newest first. The time opens one.</caption>
            <thead>
              <tr><th scope="col">Failed (UTC)</th><th scope="col">Partition/offset</th><th scope="col">Reason</th>
                <th scope="col">Client</th><th scope="col">State</th><th scope="col">Detail and message</th></tr>
            </thead>
            <tbody>{data.items.map((item) => <ItemRow key={origin(item)} item={item} params={params} />)}</tbody>
          </table>
        </Scroll>
      )}
      {data && <Pager pages={pages.with(data.next_cursor)} shown={`Page ${pages.number}`} />}
    </>
  );
}

const ACTIONS = { retry: 'retried', edited_retry: 'edited and retried', discard: 'discarded', undo: 'took the discard back' };

function History({ params }) {
  const pages = usePages('history');
  const { data, problem, loading } = useLoad(
    (signal) => get(`${PATH}/actions`, { limit: PAGE_ROWS, cursor: pages.cursor }, { signal }),
    `${pages.cursor} ${params.item ?? ''}`, { every: EVERY_MS });
  return (
    <>
      <ProblemNotice problem={problem} />
      {!data && loading && <p class="muted">Loading…</p>}
      {data?.actions.length === 0 && <p class="notice">Nobody has retried or discarded anything yet.</p>}
      {data?.actions.length > 0 && (
        <Scroll label="History">
          <table>
            <caption class="visually-hidden">Who retried and discarded what, newest first</caption>
            <thead><tr><th scope="col">When (UTC)</th><th scope="col">Who</th><th scope="col">What</th><th scope="col">Message</th>
              <th scope="col">Sent as</th><th scope="col">Outcome</th><th scope="col">Note</th></tr></thead>
            <tbody>
              {data.actions.map((action) => (
                <tr key={action.action_id}>
                  <td class="nowrap">{instant(action.at).slice(0, 19)}</td><td>{action.actor}</td><td>{ACTIONS[action.action]}</td>
                  <td><button type="button" class="row" onClick={() => go('failed', { ...params, item: origin({ ...action, topic: '' }) })}>
                    <code>{action.partition}/{action.offset}</code></button></td>
                  <td><code>{origin(action.sent_to)}</code></td>
                  <td>{action.outcome && <State of={action.outcome} />}</td><td>{action.note}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
      {data && <Pager pages={pages.with(data.next_cursor)} shown={`Page ${pages.number}`} />}
    </>
  );
}

export function Failed({ params }) {
  const session = useSession();
  const show = SHOWS.some(([name]) => name === params.show) ? params.show : '';
  const List = { '': Groups, items: Items, history: History }[show];
  const { item, ...rest } = params;
  const close = () => go('failed', rest, { replace: true });
  return (
    <>
      <nav class="shows" aria-label="Failures as">
        {SHOWS.map(([name, title]) => (
          <a key={name} href={href('failed', { ...rest, show: name })} aria-current={name === show ? 'true' : undefined}>{title}</a>
        ))}
      </nav>
      {show !== 'history' && <Filters view="failed" params={rest} fields={FIELDS} keep={{ show }} />}
      <List params={params} session={session} />
      {PLACE.test(item) && <FailedItem key={item} at={item} session={session} onClose={close} />}
    </>
  );
}
