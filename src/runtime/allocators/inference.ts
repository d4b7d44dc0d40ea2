/** What the two static policies share: classes of places from the flows of all programs. They differ in which places are one, and in what maps say by themselves. */
import { Classes } from './classes.ts';
import type { AllocatorRef, Field, ProgramFacts, Surroundings } from './facts.ts';
import type { Binding, Conflict, ProgramBinding, Reason } from './policy.ts';

export interface Inference {
  /** Places with the same key are one. */
  keyOf(field: Field): string;
  /** What the field's map says that it holds; undefined: nothing. */
  saysOf(field: Field, surroundings: Surroundings): Reason | undefined;
  /** Objects of the global allocator may be anywhere, beside any other. */
  readonly globalFits: boolean;
}

const siteKey = (program: ProgramFacts, slot: number) => `site:${program.id}:${slot}`;

/** Undefined where there is none, as in an object without line information. */
function at(program: ProgramFacts, slot: number): string {
  const place = program.place?.(slot);
  return place === undefined || place === '' ? '' : ` (${place})`;
}

function puts(program: ProgramFacts, { name }: AllocatorRef, slot: number): string {
  return `program ${program.program} of ${program.object} puts objects of ${name} there${at(program, slot)}`;
}

export function infer(
  programs: readonly ProgramFacts[],
  surroundings: Surroundings,
  { keyOf, saysOf, globalFits }: Inference,
): Binding | Conflict {
  const classes = new Classes((a, b) => surroundings.canMerge(a, b));
  const fields = new Map<string, Field>();
  /** Fields that also hold objects of the global allocator. */
  const beside = new Set<string>();
  const counts = (allocator: AllocatorRef) => !(globalFits && allocator.global);

  const enter = (field: Field): Conflict | undefined => {
    if (fields.has(field.key)) return undefined;
    fields.set(field.key, field);
    const says = saysOf(field, surroundings);
    return says === undefined ? undefined : classes.label(keyOf(field), says, field);
  };
  const put = (field: Field, reason: Reason): Conflict | undefined => {
    if (counts(reason.allocator)) return classes.label(keyOf(field), reason, field);
    beside.add(field.key);
    return undefined;
  };

  const steps = function* (): Generator<Conflict | undefined, void, undefined> {
    for (const { field, allocators } of surroundings.contents) {
      yield enter(field);
      for (const allocator of allocators)
        yield put(field, {
          allocator,
          program: undefined,
          text: `it holds live objects of ${allocator.name}`,
        });
    }
    for (const [inner, template] of surroundings.inner) {
      yield enter(inner);
      yield enter(template);
      yield classes.unite(keyOf(template), keyOf(inner), template);
    }
    for (const program of programs) {
      for (const { slot, source, into } of program.flows) {
        yield enter(into);
        switch (source.kind) {
          case 'implicit': {
            yield classes.unite(keyOf(into), siteKey(program, source.slot), into);
            // Of a program that is loaded this was decided then, and stands in its code.
            const bound = surroundings.bound(program.id, source.slot);
            if (bound === undefined || bound.global) break;
            yield put(into, { allocator: bound, program, text: puts(program, bound, slot) });
            break;
          }
          case 'field':
            yield enter(source.field);
            yield classes.unite(keyOf(into), keyOf(source.field), into);
            break;
          case 'allocator':
            yield put(into, {
              allocator: source.allocator,
              program,
              text: puts(program, source.allocator, slot),
            });
        }
      }
      for (const field of program.taken) yield enter(field);
    }
    for (const program of programs)
      for (const { map, name, allocator } of program.claims)
        for (const field of fields.values())
          if (field.map === map)
            yield put(field, {
              allocator,
              program,
              text: `${program.object} says that ${name} takes its objects from ${allocator.name}`,
            });
  };
  for (const conflict of steps()) if (conflict !== undefined) return conflict;

  const bindings = new Map<number, ProgramBinding>();
  for (const program of programs) {
    const makes = new Map<number, AllocatorRef>();
    for (const { slot, allocator } of program.sites) {
      const implicit = () => classes.allocators(siteKey(program, slot))[0] ?? surroundings.global;
      if (allocator !== 'unknown') makes.set(slot, allocator === 'implicit' ? implicit() : allocator);
    }
    bindings.set(program.id, { makes });
  }
  const bound = [...fields.values()].map((field) => [field.key, { field, allocators: allocatorsOf(field) }] as const);
  return {
    programs: bindings,
    fields: new Map(bound.filter(([, { allocators }]) => allocators.length > 0)),
    merges: classes.merges,
  };

  function allocatorsOf(field: Field): AllocatorRef[] {
    return [...classes.allocators(keyOf(field)), ...(beside.has(field.key) ? [surroundings.global] : [])];
  }
}
