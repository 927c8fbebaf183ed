// What happens now: rates, lag, shares of the outcomes, and a sampled tail with raw beside canonical.
import { useEffect, useState } from 'preact/hooks';
import { count, instant, percent, rate, seconds } from '../format.js';
import { countersSoFar, tailSoFar, useCounters, onLive } from '../live.js';
import { href } from '../route.js';
import { rateNow, ratesOf } from '../series.js';
import { State, origin } from '../parts/bits.jsx';
import { Chart } from '../parts/chart.jsx';

const OUTCOMES = [['stored', 'stored'], ['duplicate', 'duplicate'], ['dead', 'failed']];
const SHOWN = 100;

function Tile({ name, value, small }) {
  return <div class="tile"><dt>{name}</dt><dd>{value}{small && <small>{small}</small>}</dd></div>;
}

function Tiles({ counters, history }) {
  return (
    <dl class="tiles">
      <Tile name="Read" value={`${rate(rateNow(history, 'read'))} /s`} small={`${count(counters.read)} in all`} />
      {OUTCOMES.map(([name, said]) => (
        <Tile key={name} name={said[0].toUpperCase() + said.slice(1)} value={`${rate(rateNow(history, name))} /s`}
          small={`${count(counters[name])} in all`} />
      ))}
      <Tile name="Lag" value={count(counters.lag)} small="messages that wait" />
      <Tile name="Lag, time" value={seconds(counters.lag_seconds)} small="age of the oldest that waits" />
    </dl>
  );
}

function Shares({ counters }) {
  const parts = OUTCOMES.map(([name, said]) => ({ name, said, share: percent(counters[name], counters.read),
    width: counters.read ? 100 * counters[name] / counters.read : 0 }));
  return (
    <section class="card">
      <h2>Outcomes</h2>
      <div class="bar" aria-hidden="true">
        {parts.map(({ name, width }) => <i key={name} class={name} style={{ width: `${width}%` }}></i>)}
      </div>
      <ul class="legend bar-legend">
        {parts.map(({ name, said, share }) => <li key={name}><i class={name} aria-hidden="true"></i>{said} {share}</li>)}
      </ul>
    </section>
  );
}

function Rates({ history }) {
  const times = history.map(({ at }) => at / 1000);
  const values = OUTCOMES.map(([name]) => ratesOf(history, name));
  return (
    <section class="card">
      <h2>Events a second</h2>
      <Chart label="Events a second over the last minutes, by outcome; the figures now are above"
        times={times} series={OUTCOMES.map(([, said]) => said)} values={values} />
    </section>
  );
}

function TailEntry({ message }) {
  return (
    <li>
      <div><State of={message.state} /><br /><code class="muted">{origin(message)}</code>
        <div class="small muted">{message.timestamp && instant(message.timestamp).slice(11)}</div></div>
      <code>{message.value_text ?? '(not text)'}</code>
      {message.event
        ? <div class="small"><bdi>{message.event.client_id}</bdi> · <bdi>{message.event.metric}</bdi> · <strong>{message.event.amount}</strong> · {instant(message.event.timestamp)}
          <br /><a href={href('processed', { hash: message.event.event_hash })}><code>{message.event.event_hash}</code></a></div>
        : <div class="small"><code>{message.reason}</code> {message.detail}{' '}
          <a href={href('failed', { item: `${message.partition}/${message.offset}` })}>open</a></div>}
    </li>
  );
}

function useTail(paused) {
  const [tail, setTail] = useState(tailSoFar());
  useEffect(() => {
    if (paused) return undefined;
    setTail(tailSoFar());
    return onLive((message) => message.type === 'message' && setTail(tailSoFar()));
  }, [paused]);
  return tail;
}

function matches(message, outcome, text) {
  return (!outcome || message.state === outcome)
    && (!text || `${message.value_text} ${message.reason ?? ''}`.toLowerCase().includes(text.toLowerCase()));
}

function Tail() {
  const [paused, setPaused] = useState(false);
  const [outcome, setOutcome] = useState('');
  const [text, setText] = useState('');
  const shown = useTail(paused).filter((message) => matches(message, outcome, text)).slice(0, SHOWN);
  return (
    <section class="card">
      <h2>As they come {paused && <span class="badge warn">paused</span>}</h2>
      <div class="filters">
        <label>Contains <input type="search" value={text} onInput={(event) => setText(event.currentTarget.value)} /></label>
        <label>Outcome
          <select value={outcome} onChange={(event) => setOutcome(event.currentTarget.value)}>
            <option value="">all</option><option value="completed">stored</option><option value="duplicate">duplicate</option>
            <option value="failed">failed</option>
          </select>
        </label>
        <button type="button" aria-pressed={paused} onClick={() => setPaused(!paused)}>{paused ? 'Go on' : 'Pause'}</button>
      </div>
      {shown.length === 0 && <p class="muted">A sample of the messages appears here as they are processed.</p>}
      <ul class="tail">
        {shown.map((message) => <TailEntry key={`${message.partition}/${message.offset}`} message={message} />)}
      </ul>
    </section>
  );
}

export function Live() {
  const counters = useCounters();
  const history = countersSoFar();
  return (
    <>
      {!counters && <p class="muted">Waiting for the first figures…</p>}
      {counters && <Tiles counters={counters} history={history} />}
      {counters && <div class="columns"><Rates history={history} /><Shares counters={counters} /></div>}
      <Tail />
    </>
  );
}
