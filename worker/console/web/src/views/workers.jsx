// Who reads what, how far it is, and whether everything that was read is accounted for.
import { get } from '../api.js';
import { ago, count, instant, plural, seconds } from '../format.js';
import { useLoad } from '../hooks.js';
import { ProblemNotice, Scroll, State } from '../parts/bits.jsx';

const EVERY_MS = 2000;

function PartitionRow({ partition: of }) {
  return (
    <tr>
      <th scope="row">{of.partition}</th>
      <td><State of={of.state} />{of.halt_reason && <div class="small">{of.halt_reason}: {of.halt_detail}</div>}</td>
      <td>{of.owner ?? '–'}</td>
      <td class="number">{count(of.next_offset)}</td>
      <td class="number">{count(of.lag)}</td>
      <td class="number">{seconds(of.lag_seconds)}</td>
      <td class="nowrap" title={of.last_commit_at ? instant(of.last_commit_at) : undefined}>{ago(of.last_commit_at)}</td>
      <td class="number">{count(of.offsets_read)}</td>
      <td class="number">{count(of.stored)}</td>
      <td class="number">{count(of.duplicate)}</td>
      <td class="number">{count(of.dead)}</td>
      <td class="number">{count(of.gap)}</td>
      <td class="number">{count(of.lost)}</td>
      <td class="number">{count(of.skipped)}</td>
      <td>{of.complete ? <span class="badge good">yes</span> : <span class="badge bad">no</span>}</td>
    </tr>
  );
}

function Partitions({ status }) {
  const { total } = status;
  const numbers = ['Read', 'Stored', 'Duplicate', 'Dead', 'Gap', 'Lost', 'Skipped'];
  return (
    <Scroll label="Partitions">
      <table>
        <caption class="visually-hidden">The partitions of topic {status.topic} as group {status.group} reads them</caption>
        <thead>
          <tr>
            <th scope="col">Partition</th><th scope="col">State</th><th scope="col">Owner</th><th scope="col" class="number">Next offset</th>
            <th scope="col" class="number">Lag</th><th scope="col" class="number">Lag, time</th><th scope="col">Last commit</th>
            {numbers.map((name) => <th key={name} scope="col" class="number">{name}</th>)}
            <th scope="col">Complete</th>
          </tr>
        </thead>
        <tbody>{status.partitions.map((partition) => <PartitionRow key={partition.partition} partition={partition} />)}</tbody>
        <tfoot>
          <tr>
            <th scope="row" colSpan={4}>All</th><td class="number">{count(total.lag)}</td><td colSpan={2}></td>
            <td class="number">{count(total.offsets_read)}</td><td class="number">{count(total.stored)}</td>
            <td class="number">{count(total.duplicate)}</td><td class="number">{count(total.dead)}</td>
            <td class="number">{count(total.gap)}</td><td class="number">{count(total.lost)}</td>
            <td class="number">{count(total.skipped)}</td>
            <td>{total.complete ? <span class="badge good">yes</span> : <span class="badge bad">no</span>}</td>
          </tr>
        </tfoot>
      </table>
    </Scroll>
  );
}

function Worker({ worker }) {
  return (
    <div class="tile">
      <dt>{worker.owner}</dt>
      <dd>{plural(worker.partitions.length, 'partition')}
        <small>{worker.partitions.map(({ partition }) => partition).join(', ')}</small>
        <small>lag {count(worker.lag)}, last commit {ago(worker.last_commit_at)}</small></dd>
    </div>
  );
}

export function Workers() {
  const load = (path) => (signal) => get(path, {}, { signal });
  const workers = useLoad(load('/api/v1/workers'), 'workers', { every: EVERY_MS });
  const status = useLoad(load('/api/v1/status'), 'status', { every: EVERY_MS });
  const completeness = useLoad(load('/api/v1/completeness'), 'completeness', { every: EVERY_MS });
  return (
    <>
      <ProblemNotice problem={status.problem ?? workers.problem} />
      {completeness.data && (
        <p class={`notice ${completeness.data.complete ? 'good' : 'bad'}`}>{completeness.data.sentence}</p>
      )}
      {completeness.data?.elsewhere && <p class="notice warn">Elsewhere in this database: {completeness.data.elsewhere}</p>}
      {status.data?.lag_error && <p class="notice warn">The lag is not known: {status.data.lag_error}</p>}
      {status.data?.unpublished_dead_letters > 0 && (
        <p class="notice warn">{plural(status.data.unpublished_dead_letters, 'dead letter')} not published to their topic yet.</p>
      )}
      {workers.data && (
        <dl class="tiles">
          {workers.data.workers.map((worker) => <Worker key={worker.owner} worker={worker} />)}
          {workers.data.unowned.length > 0 && (
            <div class="tile"><dt>no worker yet</dt><dd>{plural(workers.data.unowned.length, 'partition')}
              <small>{workers.data.unowned.map(({ partition }) => partition).join(', ')}</small></dd></div>
          )}
        </dl>
      )}
      {status.data ? <Partitions status={status.data} /> : status.loading && <p class="muted">Loading…</p>}
    </>
  );
}
