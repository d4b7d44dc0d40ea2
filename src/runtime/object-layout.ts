/** The shape of an object that a caller was compiled against: types for its handles, and the check that the object still has it. */
import { InputError } from '../errors.ts';
import { type MapLayout, mapLayout } from '../object/map-layout.ts';
import type { ObjectSpec } from '../object/spec.ts';
import type { LoadedObject } from './handles.ts';

/** What `load<P>()` takes: an interface with the handles of an object by name, as `sluice gen types` prints it. */
export interface ObjectShape {
  readonly programs: object;
  readonly maps: object;
}

/** The layout that a shape stands for; `sluice gen types` prints it beside the interface. */
export interface ObjectLayout<P extends ObjectShape = LoadedObject> {
  /** Program type by name. */
  readonly programs: Readonly<Record<keyof P['programs'] & string, string>>;
  readonly maps: Readonly<Record<keyof P['maps'] & string, MapLayout>>;
}

/** An object of a target with the handles of a shape. */
export type Shaped<O extends LoadedObject, P extends ObjectShape> = Omit<O, 'programs' | 'maps'> & {
  readonly programs: { readonly [N in keyof P['programs']]: O['programs'][string] };
  readonly maps: P['maps'];
};

/** Throws InputError `SLUICE_LAYOUT` naming each program and map that is missing or lies differently. What the object has beyond is fine. */
export function checkLayout(object: ObjectSpec, layout: ObjectLayout<ObjectShape>): void {
  const problems: string[] = [];
  for (const [name, type] of Object.entries<string>(layout.programs)) {
    const found = object.programs.get(name)?.type;
    if (found !== type) problems.push(`program ${name}: expected type ${type}, found ${found ?? 'none'}`);
  }
  for (const [name, expected] of Object.entries<MapLayout>(layout.maps)) {
    const spec = object.maps.get(name);
    if (spec === undefined) {
      problems.push(`map ${name}: is missing`);
      continue;
    }
    const found = mapLayout(object, spec);
    for (const side of ['type', 'key', 'value'] as const)
      if (found[side] !== expected[side])
        problems.push(`map ${name}: expected ${side} ${expected[side]}, found ${found[side]}`);
  }
  if (problems.length === 0) return;
  const hint = 'if the object is the right one, make them again: sluice gen types';
  throw new InputError('SLUICE_LAYOUT', `differs from the generated types:\n  ${problems.join('\n  ')}\n${hint}`, {
    input: object.name,
  });
}
