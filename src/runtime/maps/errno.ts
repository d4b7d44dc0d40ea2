/** The errnos of map operations, by number, as InputErrors with codes `SLUICE_MAP_<errno>`. */
import { InputError } from '../../errors.ts';

// include/uapi/asm-generic/errno*.h; 524 is the kernel's own ENOTSUPP.
const names: Readonly<Record<number, string>> = {
  1: 'EPERM',
  2: 'ENOENT',
  7: 'E2BIG',
  9: 'EBADF',
  11: 'EAGAIN',
  12: 'ENOMEM',
  13: 'EACCES',
  14: 'EFAULT',
  16: 'EBUSY',
  17: 'EEXIST',
  19: 'ENODEV',
  22: 'EINVAL',
  28: 'ENOSPC',
  34: 'ERANGE',
  75: 'EOVERFLOW',
  88: 'ENOTSOCK',
  95: 'EOPNOTSUPP',
  115: 'EINPROGRESS',
  524: 'ENOTSUPP',
};

export const ENOENT = 2;
export const EBADF = 9;
export const EINVAL = 22;

/** Error for a negated errno that a map operation returned. */
export function mapError(result: number, operation: string): InputError {
  const name = names[-result] ?? `E${-result}`;
  return new InputError(`SLUICE_MAP_${name}`, `map ${operation}: ${name}`);
}
