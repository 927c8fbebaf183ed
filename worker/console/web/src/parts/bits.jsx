// Small things that every view uses.
import { useState } from 'preact/hooks';

const OUTCOMES = {
  not_seen: ['', 'not seen'], processing: ['info', 'processing'], completed: ['good', 'stored'],
  duplicate: ['info', 'duplicate'], failed: ['bad', 'failed'],
  open: ['bad', 'open'], retried: ['warn', 'retried'], resolved: ['good', 'resolved'], discarded: ['', 'discarded'],
  running: ['good', 'running'], halted: ['bad', 'halted'], not_started: ['', 'not started'],
};

// A state of a message, a failure or a partition.
export function State({ of }) {
  const [kind, text] = OUTCOMES[of] ?? ['', of];
  return <span class={`badge ${kind}`}>{text}</span>;
}

export function ProblemNotice({ problem }) {
  if (!problem) return null;
  return (
    <div class="notice bad" role="alert">
      <strong>{problem.title}.</strong> {problem.message !== problem.title && problem.message}
    </div>
  );
}

// What scrolls sideways can be reached by keyboard.
export function Scroll({ label, children }) {
  return <div class="scroll" role="region" aria-label={label} tabIndex={0}>{children}</div>;
}

export function origin(of) {
  return of ? `${of.topic ? `${of.topic}/` : ''}${of.partition}/${of.offset}` : '–';
}

export function Pager({ pages, shown }) {
  return (
    <div class="buttons">
      <button type="button" disabled={!pages.hasBefore} onClick={pages.before}>← Newer</button>
      <button type="button" disabled={!pages.hasNext} onClick={pages.next}>Older →</button>
      <span class="muted">{shown}</span>
    </div>
  );
}

// The cursors of the pages so far; begins again when `key` changes.
export function usePages(key) {
  const [state, setState] = useState({ key, cursors: [''] });
  const cursors = state.key === key ? state.cursors : [''];
  const turnTo = (changed) => {
    setState({ key, cursors: changed });
    scrollTo(0, 0);
  };
  return {
    number: cursors.length,
    cursor: cursors.at(-1),
    with(nextCursor) {
      return {
        hasBefore: cursors.length > 1,
        hasNext: Boolean(nextCursor),
        before: () => turnTo(cursors.slice(0, -1)),
        next: () => turnTo([...cursors, nextCursor]),
      };
    },
  };
}

export function Pairs({ rows }) {
  return (
    <dl class="pairs">
      {rows.filter(([, value]) => value !== undefined && value !== null).map(([name, value]) => [
        <dt key={name}>{name}</dt>, <dd key={`${name}.`}>{value}</dd>])}
    </dl>
  );
}

export function Canonical({ event }) {
  return (
    <Pairs rows={[['client', event.client_id], ['metric', event.metric], ['amount', <code>{event.amount}</code>],
      ['timestamp', <code>{event.timestamp}</code>], ['hash', <code>{event.event_hash}</code>]]} />
  );
}
