/** Numbers that requests and callbacks of rings take, by name (plane/layout/ring.ts has what each means). */
import {
  LINK_ALWAYS,
  LINK_EOF_OK,
  LINK_EXACT,
  LINK_KERNEL,
  LINK_PASS_FD,
  LINK_PASS_LENGTH,
  LINK_PASS_OFFSET,
  LINK_PROGRAM,
  LINK_RETRY_REST,
  LINK_SHORT_OK,
  RING_AGAIN,
  RING_BREAK,
  RING_FINALLY,
  RING_HIDDEN,
  RING_POST,
  RING_QUIET_CANCEL,
  RING_TO_RING,
  RING_WAIT,
} from '../../plane/layout/ring.ts';

/** `policy` of a request with `link`: when the next one goes on. One of the first seven, joined with what is passed on. */
export const linkPolicies = {
  kernel: LINK_KERNEL,
  exact: LINK_EXACT,
  shortOk: LINK_SHORT_OK,
  retryRest: LINK_RETRY_REST,
  eofOk: LINK_EOF_OK,
  always: LINK_ALWAYS,
  program: LINK_PROGRAM,
  passLength: LINK_PASS_LENGTH,
  passOffset: LINK_PASS_OFFSET,
  passFd: LINK_PASS_FD,
} as const;

/** `extra` of a request. */
export const requestExtras = {
  finally: RING_FINALLY,
  quietCancel: RING_QUIET_CANCEL,
  hidden: RING_HIDDEN,
  toRing: RING_TO_RING,
} as const;

/** What a callback returns, joined. */
export const callbackResults = { wait: RING_WAIT, post: RING_POST, break: RING_BREAK, again: RING_AGAIN } as const;
