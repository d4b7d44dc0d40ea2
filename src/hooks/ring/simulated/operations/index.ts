/** What each opcode does in the simulation, by number. An opcode that is not here is refused as the kernel refuses one that it does not know. */
import type { Operation } from '../operation.ts';
import { cancelOperations } from './cancellation.ts';
import { connectionOperations } from './connections.ts';
import { fileOperations } from './files.ts';
import { messageOperations } from './messages.ts';
import { nameOperations } from './names.ts';
import { pipeOperations } from './pipes.ts';
import { pollOperations } from './polls.ts';
import { ringOperations } from './ring-requests.ts';
import { timeoutOperations } from './timeouts.ts';
import { transferOperations } from './transfers.ts';

export const operations: readonly (Operation | undefined)[] = Object.assign([], {
  ...ringOperations,
  ...transferOperations,
  ...fileOperations,
  ...nameOperations,
  ...messageOperations,
  ...connectionOperations,
  ...pipeOperations,
  ...pollOperations,
  ...timeoutOperations,
  ...cancelOperations,
} satisfies Record<number, Operation>);
