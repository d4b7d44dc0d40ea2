/**
 * Programs on a ring: what a completion runs, and requests of their own (IORING_OP_BPF). The type, its sections and the first three fields of
 * its context are those of the patches of 2021 ("io_uring BPF requests", RFC v2), which no kernel has merged; the rest is Sluice's.
 */
import {
  RING_AGAIN,
  RING_BREAK,
  RING_CTX_CHAIN,
  RING_CTX_FLAGS,
  RING_CTX_OPCODE,
  RING_CTX_PROGRAM,
  RING_CTX_QUEUE,
  RING_CTX_REQUEST,
  RING_CTX_RES,
  RING_CTX_RING,
  RING_CTX_SIZE,
  RING_CTX_USER_DATA,
  RING_CTX_WAIT_IDX,
  RING_CTX_WAIT_NR,
  RING_POST,
  RING_WAIT,
} from '../../plane/layout/ring.ts';
import { field, narrowU32 } from '../contexts/fields.ts';
import { baseHelpers } from '../helpers/base.ts';
import { helperSet } from '../helpers/helper-set.ts';
import { iouringHelpers } from '../helpers/iouring.ts';
import type { ProgramDeclaration } from '../program-declaration.ts';

/** Fields at multiples of 8: compilers join the access to the one behind. */
const wide = { loads: [1, 2, 4, 8] };

export const iouring: ProgramDeclaration = {
  type: 'iouring',
  since: 'Sluice 0.1.0',
  context: {
    struct: 'io_uring_bpf_ctx',
    size: RING_CTX_SIZE,
    fields: [
      field('user_data', RING_CTX_USER_DATA, 8, wide),
      narrowU32('wait_nr', RING_CTX_WAIT_NR, { ...wide, write: true, stores: [4, 8] }),
      narrowU32('wait_idx', RING_CTX_WAIT_IDX, { write: true }),
      // Of the completion that runs the program; zeros in a program request.
      narrowU32('res', RING_CTX_RES, wide),
      narrowU32('flags', RING_CTX_FLAGS),
      narrowU32('opcode', RING_CTX_OPCODE, wide),
      narrowU32('chain', RING_CTX_CHAIN),
      field('request', RING_CTX_REQUEST, 8, wide),
      narrowU32('program', RING_CTX_PROGRAM, wide),
      narrowU32('queue', RING_CTX_QUEUE),
      narrowU32('ring', RING_CTX_RING, { ...wide, stability: { level: 'experimental', since: '0.2.0' } }),
    ],
  },
  helpers: helperSet(baseHelpers, iouringHelpers),
  attachTypes: [],
  attachTypeRequired: false,
  returns: 'any',
  // Bits: a program may return several.
  verdicts: new Map([
    [0, 'IORING_BPF_OK'],
    [RING_WAIT, 'IORING_BPF_WAIT'],
    [RING_POST, 'RING_POST'],
    [RING_BREAK, 'RING_BREAK'],
    [RING_AGAIN, 'RING_AGAIN'],
  ]),
  packetAccess: 'none',
  packetArguments: 'none',
  packetLoads: false,
  sleepable: 'may',
  gplOnly: false,
  testRun: false,
  stability: { level: 'experimental', since: '0.1.0' },
};
