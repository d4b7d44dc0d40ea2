/** What holds after every action, whichever it was: the invariants I1 to I15 of ownership, of a runtime held against the model. Throws the first that does not. */
import { expect } from 'vitest';
import type { Allocator, LifetimeModel, Thing } from './lifetimes-model.ts';
import { contents, judge } from './lifetimes-policy.ts';
import { SIZE, type Side } from './lifetimes-side.ts';

/** Objects of a slab. */
const SLAB_OBJECTS = Math.floor(16384 / SIZE);

export function checkInvariants(model: LifetimeModel, side: Side): void {
  const { plane } = side.runtime;
  const owner = (thing: Thing) => side.known(thing.from).id;

  // I1 conservation, I9 and I10 (what went is gone at once, and once), I4 (counts of references), I6 (whose slab each lies in).
  const { live, reached } = side.objects();
  model.settleStale(side.isLive());
  const things = [...model.live()];
  const named = (thing: Thing, references: boolean) =>
    `${thing.id}${references && thing.kind === 'node' ? `:${thing.references}` : ''} of ${owner(thing)}`;
  expect([...live.values()].sort(), 'I1: what is live').toEqual(things.map((each) => named(each, false)).sort());
  expect([...reached.values()].sort(), 'I1, I4, I6: what is owned').toEqual(
    things.map((each) => named(each, true)).sort(),
  );
  expect([...reached.keys()].sort(), 'I1: addresses').toEqual([...live.keys()].sort());

  // I2 and I5: allocators are open while somebody holds them, drain while objects of theirs live, and are gone then.
  for (const allocator of model.allocators) {
    const count = model.liveOf(allocator);
    const { references } = allocator;
    const known = side.known(allocator);
    const state = references > 0 ? 'open' : count > 0 ? 'draining' : 'dead';
    expect(known.state, `I2, I5: state of ${allocator.name}`).toBe(state);
    if (state === 'dead') continue;
    const reserved = allocator.reservations.reduce((sum, each) => sum + each.count, 0);
    expect(known.stats(), `I1, I2, I12: numbers of ${allocator.name}`).toMatchObject({
      references,
      live: count,
      liveBytes: count * SIZE,
      waiting: 0,
      reserved,
      quota: allocator.quota === 0 ? undefined : allocator.quota * SIZE,
    });
  }
  expect(side.known(model.global).stats()!.live, 'I1: the global allocator').toBe(model.liveOf(model.global));

  // I3: nothing was written after it was freed.
  expect(plane.exports.allocator_check(), 'I3: written after it was freed').toBe(0);

  // I6, I7, I8: what fields are bound to is a function of who lives and of what is there, and objects keep to it.
  checkBinding(model, side);

  // I11: those that are merged take no more slabs than each alone would.
  if (side.name !== 'checked') checkMerged(model, side);

  // I12: what is set apart is there for its holder, whoever takes what. (Checks keep what is freed out of use for a while: there this would not leave things as they are.)
  if (side.name === 'checked') return;
  for (const { reservations } of [...model.allocators, model.global])
    for (const { of, holder, count, out } of reservations)
      expect(side.reserved(of, side.holder(holder)), `I12: set apart of ${of.name}`).toBe(count - out);
}

function checkBinding(model: LifetimeModel, side: Side): void {
  const { store } = side;
  expect(store.programs.length, 'I15: programs').toBe(model.loads.flatMap(({ programs }) => programs).length);
  const { binding } = store;
  if (model.policy === 'global' || model.policy === 'dynamic') {
    expect(binding?.fields.size ?? 0).toBe(0);
    return;
  }
  if (binding === undefined) {
    expect(model.loads).toEqual([]);
    return;
  }
  const ids = new Map<number, string>();
  const order = [...new Set([...model.maps, ...model.loads.map(({ maps }) => maps)])];
  for (const [i, maps] of order.entries())
    for (const name of ['slots', 'table'] as const) ids.set(side.map(maps, name).id, `${i} `);
  const found = [...binding.fields.values()].map(({ field, allocators }) => [
    `${field.map === undefined ? '' : ids.get(Number(field.map))}${field.text}`,
    allocators.map(({ id }) => id).sort(),
  ]);
  const { fields, conflict } = judge(model, undefined, {}, false);
  expect(conflict, 'I7: who lives together may').toBe(false);
  const wanted = [...fields].map(([key, allocators]) => [
    key,
    [...allocators].map((each) => side.known(each).id).sort(),
  ]);
  const byName = (a: readonly unknown[], b: readonly unknown[]) => (String(a[0]) < String(b[0]) ? -1 : 1);
  expect(found.sort(byName), 'I7, I8: what fields are bound to').toEqual(wanted.sort(byName));
  for (const [maps, field, thing] of contents(model)) {
    const key = maps === undefined ? field : `${order.indexOf(maps)} ${field}`;
    const allocators = found.find(([each]) => each === key)?.[1] as number[] | undefined;
    expect(allocators, `I6: ${thing.id} in ${field}`).toContain(side.known(thing.from).id);
  }
}

function checkMerged(model: LifetimeModel, side: Side): void {
  const before = side.slabs;
  side.slabs = new Map();
  const seen = new Set<Set<Allocator>>();
  for (const { merged } of model.allocators) {
    const members = [...merged].filter((each) => side.known(each).state !== 'dead');
    if (members.length === 0 || seen.has(merged)) continue;
    seen.add(merged);
    const slabs =
      side
        .known(members[0]!)
        .stats()!
        .classes.find(({ size }) => size === SIZE)?.slabs ?? 0;
    const alone = members.reduce((sum, each) => sum + Math.ceil(model.liveOf(each) / SLAB_OBJECTS), 0);
    // Reservations have slabs of their own, merged or not.
    const apart = members
      .flatMap(({ reservations }) => reservations)
      .reduce((sum, { count }) => sum + Math.ceil(count / SLAB_OBJECTS), 0);
    // What they had before, each.
    const had = [...merged].reduce((sum, each) => sum + (before.get(each) ?? 0), 0);
    expect(slabs, `I11: slabs of ${members.map(({ name }) => name)}`).toBeLessThanOrEqual(Math.max(alone, had) + apart);
    // In the name of one of them.
    side.slabs.set(members[0]!, slabs);
  }
}
