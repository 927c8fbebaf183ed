import { get } from '../api.js';
import { useLoad } from '../hooks.js';
import { useConnection, useCounters } from '../live.js';
import { href } from '../route.js';

const EVERY_MS = 5000;

function judge(completeness, counters) {
  if (!completeness) return ['', 'Asking…'];
  if (!completeness.complete || counters?.complete === false) return ['bad', 'Incomplete'];
  if (counters?.halted) return ['warn', 'Complete, but halted'];
  return ['good', 'Complete'];
}

// Whether every offset that was read is accounted for: on every view, with its figures for whoever asks.
export function Verdict() {
  const { data, problem } = useLoad((signal) => get('/api/v1/completeness', {}, { signal }), 'verdict', { every: EVERY_MS });
  const connection = useConnection();
  const counters = useCounters();
  const stale = problem || connection === 'lost';
  const [kind, word] = stale ? ['warn', 'Not known now'] : judge(data, counters);
  return (
    <div class="verdict">
      <a class={`badge ${kind}`} href={href('workers')} title={data?.sentence}>{word}</a>
      {data && !stale && <span class="sentence small muted">{data.sentence.replace(/^\w+: /, '')}</span>}
    </div>
  );
}
