/** What is said when programs cannot live together under a policy. */
import { InputError } from '../../errors.ts';
import type { AllocatorRef } from './facts.ts';
import type { Conflict, PolicyName } from './policy.ts';

/** InputError `SLUICE_ALLOCATOR_CONFLICT`: both sides, the field, both allocators, and what to do. */
export function conflictError(
  policy: PolicyName,
  { field, first, second }: Conflict,
  mergeable: (a: AllocatorRef, b: AllocatorRef) => string | undefined,
): InputError {
  const [a, b] = [first.allocator, second.allocator];
  const against = mergeable(a, b);
  const unload =
    first.program === undefined
      ? `empty ${field.text} first`
      : `unload program ${first.program.program} of ${first.program.object} and empty ${field.text} first`;
  const todo = [
    policy === 'per-map'
      ? `give the map of ${field.text} \`.kptr_allocator\` = ${b.name}, or allocate from its own (&MAP.kptr_allocator)`
      : `allocate both from the same allocator (pin it and share it)`,
    ...(policy === 'per-map' ? [] : [unload]),
    against === undefined
      ? `merge the two (--merge, or merge: true), as they are alike`
      : `make the two alike and merge them (they differ: ${against})`,
    `load with the policy dynamic, which lets objects of several allocators meet (--policy dynamic)`,
  ];
  return new InputError(
    'SLUICE_ALLOCATOR_CONFLICT',
    `${field.text} can hold objects of one allocator only (policy ${policy}): ${first.text}; ${second.text}\nto do one of: ${todo.join('; ')}`,
  );
}
