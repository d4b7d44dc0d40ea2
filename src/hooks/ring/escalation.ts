/** Why a program did not go on, in words. */
import {
  ESCALATE_DEPTH,
  ESCALATE_FAULT,
  ESCALATE_INSTRUCTIONS,
  ESCALATE_MESSAGE,
  ESCALATE_PROGRAM,
  ESCALATE_REQUESTS,
} from '../../plane/layout/ring.ts';

const reasons: ReadonlyMap<number, string> = new Map([
  [ESCALATE_REQUESTS, 'more requests in one run than its budget'],
  [ESCALATE_DEPTH, 'programs that run each other without end'],
  [ESCALATE_INSTRUCTIONS, 'more instructions in one run than its budget'],
  [ESCALATE_FAULT, 'a fault in the program'],
  [ESCALATE_PROGRAM, 'the program itself'],
  [ESCALATE_MESSAGE, 'a message for a program or a queue that the ring does not have'],
]);

/** What an escalation was about, in words. */
export function escalationReason(escalation: number): string {
  return reasons.get(escalation) ?? `reason ${escalation}`;
}
