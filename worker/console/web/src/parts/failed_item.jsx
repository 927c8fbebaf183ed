// One failure: what was wrong, its bytes, its history, and what can be done about it.
import { useEffect, useState } from 'preact/hooks';
import { get, post } from '../api.js';
import { instant } from '../format.js';
import { useLoad } from '../hooks.js';
import { href } from '../route.js';
import { mayOperate, whyNot } from '../session.js';
import { track, useSubmissions } from '../submissions.js';
import { Pairs, ProblemNotice, State, origin } from './bits.jsx';
import { CopyButton } from './copy.jsx';
import { Dialog } from './dialog.jsx';
import { Explanation } from './explanation.jsx';
import { Headers, Raw } from './raw.jsx';
import { say, sayProblem } from './toast.jsx';

async function undo(at, after = () => {}) {
  try {
    await post(`/api/v1/failed/${at}/undo`, undefined);
    say(`${at} is open again.`);
    after();
  } catch (problem) {
    sayProblem(problem);
  }
}

function What({ item }) {
  return (
    <>
      <p class="notice bad"><code>{item.reason}</code>{item.sqlstate && <> (SQLSTATE <code>{item.sqlstate}</code>)</>}: {item.detail}</p>
      <Pairs rows={[
        ['state', <State of={item.state} />],
        ['stored as', item.stored_as && <><code>{origin(item.stored_as)}</code> {item.event_hash
          && <a href={href('processed', { hash: item.event_hash })}>show it in Processed</a>}</>],
        ['client', item.client_id], ['key', item.key_text && <code>{item.key_text}</code>],
        ['sent', item.message_time && instant(item.message_time)], ['failed', instant(item.failed_at)],
        ['in the dead-letter topic', item.published_at ? instant(item.published_at) : 'not yet'],
        ['event hash', item.event_hash && <code>{item.event_hash}</code>],
      ]} />
    </>
  );
}

const ACTIONS = { retry: 'retried it', edited_retry: 'edited and retried it', discard: 'discarded it', undo: 'took the discard back' };

function History({ history }) {
  if (history.length === 0) return null;
  return (
    <section>
      <h3>History</h3>
      <ul class="history">
        {history.map((action) => (
          <li key={action.action_id}>
            <span class="muted">{instant(action.at).slice(0, 19)}</span> {action.actor} {ACTIONS[action.action]}
            {action.sent_to && <> as <code>{origin(action.sent_to)}</code></>} {action.outcome && <State of={action.outcome} />}
            {action.note && <>: {action.note}</>}
          </li>
        ))}
      </ul>
    </section>
  );
}

function Discard({ at, onDone }) {
  const [note, setNote] = useState('');
  const [problem, setProblem] = useState();
  const submit = async (event) => {
    event.preventDefault();
    try {
      await post(`/api/v1/failed/${at}/discard`, { note });
      say(`${at} is discarded.`, { action: { label: 'Undo', run: () => undo(at) } });
      onDone();
    } catch (thrown) {
      setProblem(thrown);
    }
  };
  return (
    <form onSubmit={submit} class="discard">
      <h3>Discard</h3>
      <label>Why <input name="note" value={note} maxlength={500} required onInput={(event) => setNote(event.currentTarget.value)} /></label>
      <ProblemNotice problem={problem} />
      <div class="buttons"><button type="submit" class="danger">Discard</button></div>
    </form>
  );
}

function Mend({ item, at, onDone }) {
  const [text, setText] = useState(item.value_text ?? '');
  const [note, setNote] = useState('');
  const [problem, setProblem] = useState();
  const [sending, setSending] = useState(false);
  const edited = text !== (item.value_text ?? '');
  const retry = async () => {
    setSending(true);
    setProblem(undefined);
    try {
      const body = { ...(edited && { value: text }), ...(note && { note }) };
      const { submission } = await post(`/api/v1/failed/${at}/retry`, body);
      track(submission, edited ? text : item.value_text ?? '(bytes)');
      onDone();
    } catch (thrown) {
      setProblem(thrown);
    }
    setSending(false);
  };
  return (
    <section>
      <h3>Mend and retry</h3>
      <div class="columns">
        <div>
          <label>Message
            <textarea rows={8} spellcheck={false} value={text} onInput={(event) => setText(event.currentTarget.value)}
              onKeyDown={(event) => event.key === 'Enter' && event.ctrlKey && retry()} />
          </label>
          <label>Note (optional) <input value={note} maxlength={500} onInput={(event) => setNote(event.currentTarget.value)} /></label>
          <ProblemNotice problem={problem} />
          <div class="buttons">
            <button type="button" class="primary" disabled={sending} onClick={retry}>{edited ? 'Send the edited message' : 'Retry as it is'}</button>
            {edited && <button type="button" onClick={() => setText(item.value_text ?? '')}>Take the edit back</button>}
          </div>
        </div>
        <div>{text !== '' && <Explanation text={text} />}</div>
      </div>
    </section>
  );
}

// The latest retry of this tab, when it was of this failure, with its state as it changes.
function useRetryOf(item) {
  const submissions = useSubmissions();
  const sent = item?.history.findLast(({ sent_to: to }) => to)?.sent_to;
  return sent && submissions.find(({ key }) => key === `${sent.partition}/${sent.offset}`);
}

export function FailedItem({ at, session, onClose }) {
  const { data: item, problem, reload } = useLoad((signal) => get(`/api/v1/failed/${at}`, {}, { signal }), at);
  const retried = useRetryOf(item);
  useEffect(() => {
    if (retried) reload();
  }, [retried?.state]);
  const refused = whyNot(session, mayOperate);
  const may = item && mayOperate(session);
  return (
    <Dialog wide title={`Failed: ${at}`} onClose={onClose}>
      <ProblemNotice problem={problem} />
      {!item && !problem && <p class="muted">Loading…</p>}
      {item && <What item={item} />}
      {retried && <p class="notice" role="status">Sent again as <code>{origin(retried)}</code>: <State of={retried.state} /></p>}
      {item && (
        <section>
          <h3>The message as it came</h3>
          <Raw message={item} />
          <div class="buttons"><CopyButton text={item.value_text ?? item.value_base64 ?? ''} what="the message">Copy</CopyButton></div>
          <Headers headers={item.headers} />
        </section>
      )}
      {item && <History history={item.history} />}
      {refused && <p class="notice warn">{refused}</p>}
      {may && ['open', 'retried'].includes(item.state) && <Mend item={item} at={at} onDone={reload} />}
      {may && ['open', 'retried'].includes(item.state) && <Discard at={at} onDone={onClose} />}
      {may && item.state === 'discarded' && (
        <div class="buttons"><button type="button" onClick={() => undo(at, reload)}>Undo the discard</button></div>
      )}
    </Dialog>
  );
}
