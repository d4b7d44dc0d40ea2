/** What is said of a trait where it is named: by objects, registry files and callers. Names, lengths, merge policies. */
import { InputError } from '../errors.ts';
import {
  MERGE_EQUAL,
  MERGE_KEEP_FIRST,
  MERGE_KEEP_LAST,
  MERGE_MAX,
  MERGE_MIN,
  MERGE_OR,
  MERGE_SUM,
} from '../plane/layout/trait.ts';

/** What becomes of values where packets are merged, with the numbers that objects and the plane have them by. */
export const mergePolicies = {
  KEEP_FIRST: MERGE_KEEP_FIRST,
  KEEP_LAST: MERGE_KEEP_LAST,
  SUM: MERGE_SUM,
  MIN: MERGE_MIN,
  MAX: MERGE_MAX,
  OR: MERGE_OR,
  EQUAL: MERGE_EQUAL,
} as const;
export type MergePolicy = keyof typeof mergePolicies;

/** Longest name, in bytes of UTF-8. */
export const TRAIT_NAME_BYTES = 16;
/** Lengths that any layout has. */
export const traitSizes: readonly number[] = [0, 1, 2, 4, 8, 16];

/** Flag: the key stays registered when the last program that uses it is closed. Keys of `register` stay in any case. */
export const TRAIT_PERSISTENT = 1;

export interface TraitDeclaration {
  /** 1 to 16 bytes of UTF-8 without control characters. */
  readonly name: string;
  /** Length of values in bytes: 0, 1, 2, 4, 8 or 16. Which of them packets can have is the runtime's layout to say. */
  readonly size: number;
  /** Default KEEP_FIRST. */
  readonly policy?: MergePolicy;
  /** TRAIT_PERSISTENT or 0 (default). */
  readonly flags?: number;
}

const encoder = new TextEncoder();

/** Throws InputError `SLUICE_TRAIT_EINVAL`. */
export function checkDeclaration({ name, size, policy = 'KEEP_FIRST', flags = 0 }: TraitDeclaration): void {
  const bytes = encoder.encode(name).length;
  if (bytes === 0 || bytes > TRAIT_NAME_BYTES || /[\p{Cc}\p{Zl}\p{Zp}]/u.test(name))
    throw refusal('EINVAL', `trait ${JSON.stringify(name)}: names are 1 to ${TRAIT_NAME_BYTES} bytes of plain text`);
  if (!traitSizes.includes(size))
    throw refusal('EINVAL', `trait ${name}: values are ${traitSizes.join(', ')} bytes long, not ${size}`);
  if (!Object.hasOwn(mergePolicies, policy))
    throw refusal('EINVAL', `trait ${name}: no policy ${policy}: ${Object.keys(mergePolicies).join(', ')}`);
  if ((flags & ~TRAIT_PERSISTENT) !== 0)
    throw refusal('EINVAL', `trait ${name}: no flags ${flags}: 1 (persistent) or 0`);
}

/** Named as the errors of bpf(2). */
export function refusal(errno: 'EINVAL' | 'EEXIST' | 'ENOSPC' | 'ENOENT' | 'EBUSY', text: string): InputError {
  return new InputError(`SLUICE_TRAIT_${errno}`, `${text}: ${errno}`);
}
