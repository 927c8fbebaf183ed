// What is done to many failures, a request at a time.
import { Problem } from './api.js';
import { plural } from './format.js';

export const AT_ONCE = 1000; // what the server takes

// Asks again until as many are done as there were. What is retried may fail again and is in the group then, anew:
// that one is left for a person to look at. Yields after each answer what was done so far, which holds also when
// the next request fails: how many, and the ranges of actions, one of each request, as others may act in between.
export async function* inTurns(wanted, done, ask) {
  let sum = 0;
  const ranges = [];
  while (sum < wanted) {
    const answer = await ask(Math.min(AT_ONCE, wanted - sum));
    sum += answer[done];
    const { first_action_id, last_action_id } = answer;
    if (first_action_id) ranges.push({ first_action_id, last_action_id });
    yield { sum, ranges };
    if (answer.failed > 0) {
      throw new Problem({ title: 'Kafka did not take all of them', detail: `${plural(answer.failed, 'message')} not taken; the others were sent.` });
    }
    if (answer[done] === 0) return;
  }
}
