// The way of each event that was sent from this tab.
import { href } from '../route.js';
import { seconds } from '../format.js';
import { origin, State } from './bits.jsx';

const OUTCOME = {
  completed: 'Stored.',
  duplicate: 'Event already processed (duplicate detected)',
};

function Steps({ entry }) {
  const outcome = ['completed', 'duplicate', 'failed'].includes(entry.state);
  return (
    <ol class="steps" aria-label="States">
      <li><span class="badge good">sent</span></li>
      <li><span class="badge good">acknowledged</span></li>
      {outcome ? <li><State of={entry.state} /></li> : <li><State of={entry.state} />…</li>}
    </ol>
  );
}

function Outcome({ entry }) {
  const took = seconds((entry.seen - entry.sent) / 1000);
  if (entry.state === 'failed') {
    return <p><code>{entry.reason}</code>: {entry.detail}{' '}
      <a href={href('failed', { item: entry.key })}>Mend it in Failed</a></p>;
  }
  if (!OUTCOME[entry.state]) {
    return <p class="muted">{entry.unreachable ? 'The server does not answer; asked again.'
      : `Waits in the log for a worker, ${took} so far.`}</p>;
  }
  return (
    <p>{OUTCOME[entry.state]}{' '}
      {entry.duplicate_of && <>First stored from <code>{origin(entry.duplicate_of)}</code>. </>}
      {entry.event_hash && <a href={href('processed', { hash: entry.event_hash })}>Show it in Processed</a>}{' '}
      <span class="muted small">after {took}</span></p>
  );
}

export function Sent({ submissions }) {
  if (submissions.length === 0) return null;
  return (
    <section class="card" aria-live="polite">
      <h2>Sent from this tab</h2>
      <ul class="sent">
        {submissions.map((entry) => (
          <li key={entry.key} data-state={entry.state}>
            <Steps entry={entry} />
            <Outcome entry={entry} />
            <code class="muted">{origin(entry)}</code>{' '}
            <code class="muted clip">{entry.text.replace(/\s+/g, ' ').slice(0, 160)}</code>
          </li>
        ))}
      </ul>
    </section>
  );
}
