/** A request that failed. `code` is `SLUICE_RING_<errno>`. */

import { errnoName } from '../../abi/errno.ts';
import { SluiceError } from '../../errors.ts';

export class RequestError extends SluiceError {
  /** `ENOENT`, … */
  readonly errno: string;
  /** Negative, as in the completion. */
  readonly res: number;
  /** What was asked: `openat`, … */
  readonly operation: string;

  constructor(operation: string, res: number) {
    const name = errnoName(-res);
    super(`SLUICE_RING_${name}`, `${operation}: ${name}`);
    this.errno = name;
    this.res = res;
    this.operation = operation;
  }
}
