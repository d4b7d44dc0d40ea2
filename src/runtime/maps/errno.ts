/** The errnos of map operations, by number, as InputErrors with codes `SLUICE_MAP_<errno>`. */
import { errnoName } from '../../abi/errno.ts';
import { InputError } from '../../errors.ts';

export const ENOENT = 2;
export const E2BIG = 7;
export const EBADF = 9;
export const ENOMEM = 12;
export const EINVAL = 22;
export const ENOTSUPP = 524;

/** Error for a negated errno that a map operation returned. */
export function mapError(result: number, operation: string, why?: string): InputError {
  const name = errnoName(-result);
  return new InputError(`SLUICE_MAP_${name}`, `map ${operation}: ${name}${why === undefined ? '' : `: ${why}`}`);
}
