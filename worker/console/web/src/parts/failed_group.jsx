// Retry or discard all open failures of one reason and client. The server takes at most 1,000 at once.
import { useState } from 'preact/hooks';
import { post } from '../api.js';
import { count, plural } from '../format.js';
import { ProblemNotice } from './bits.jsx';
import { Dialog } from './dialog.jsx';
import { say, sayProblem } from './toast.jsx';

const AT_ONCE = 1000;

// Takes back what was discarded just now.
async function undoAll(body, ranges, onUndone) {
  try {
    let sum = 0;
    for (const range of ranges) {
      sum += (await post('/api/v1/failed/undo', { ...body, ...range, limit: AT_ONCE })).undone;
    }
    say(`${plural(sum, 'failure')} open again.`);
    onUndone();
  } catch (problem) {
    sayProblem(problem);
  }
}

// Asks again until as many are done as there were. What is retried may fail again and is in the group then, anew:
// that one is left for a person to look at.
async function doAll({ count: wanted, path, body, done, progress }) {
  let sum = 0;
  const ranges = []; // of actions, one of each request: between two of them others may act
  while (sum < wanted) {
    const answer = await post(path, { ...body, limit: Math.min(AT_ONCE, wanted - sum) });
    sum += answer[done];
    progress(sum);
    const { first_action_id, last_action_id } = answer;
    if (first_action_id) ranges.push({ first_action_id, last_action_id });
    if (answer.failed > 0) throw new Error(`Kafka did not take ${plural(answer.failed, 'message')}. The others were sent.`);
    if (answer[done] === 0) break;
  }
  return { sum, ranges };
}

function GroupAction({ group, title, path, done, verb, noteRequired, danger, explain, undo, onClose, onUndone }) {
  const [note, setNote] = useState('');
  const [progress, setProgress] = useState(null);
  const [problem, setProblem] = useState();
  const submit = async (event) => {
    event.preventDefault();
    setProblem(undefined);
    setProgress(0);
    try {
      const which = { reason: group.reason, client_id: group.client_id };
      const body = { ...which, ...(note && { note }) };
      const { sum, ranges } = await doAll({ count: group.count, path, body, done, progress: setProgress });
      const action = undo && sum > 0 && { label: 'Undo', run: () => undoAll(which, ranges, onUndone) };
      say(`${plural(sum, 'failure')} ${done}.`, action ? { action } : {});
      onClose();
    } catch (thrown) {
      setProblem(thrown);
      setProgress(null);
    }
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <form onSubmit={submit}>
        <p>{plural(group.count, 'open failure')}: <code>{group.reason}</code> of <bdi>{group.client_id ?? 'an unknown client'}</bdi>. {explain}</p>
        <label>Note{noteRequired ? '' : ' (optional)'}
          <input name="note" value={note} maxlength={500} required={noteRequired} onInput={(event) => setNote(event.currentTarget.value)} />
        </label>
        <ProblemNotice problem={problem} />
        <div class="buttons">
          <button type="submit" class={danger ? 'danger' : 'primary'} disabled={progress !== null}>
            {progress === null ? `${verb} ${count(group.count)}` : `${count(progress)} of ${count(group.count)}…`}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

export function RetryGroup(props) {
  return <GroupAction {...props} title="Retry group" path="/api/v1/failed/retry" done="retried" verb="Retry"
    explain="They are sent again as they are, oldest first." />;
}

export function DiscardGroup(props) {
  return <GroupAction {...props} title="Discard group" path="/api/v1/failed/discard" done="discarded" verb="Discard" noteRequired danger undo
    explain="They are put aside with your note. Nothing is deleted: all can be taken back now, and each in the state “discarded” later." />;
}
