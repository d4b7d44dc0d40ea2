/** Programs that every ring of a runtime has: those that are there, and those that come. Programs of one ring are attached to it (`ring.programs.attach`). */
import type { UserObject } from '../../runtime/load.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { RingPrograms } from './programs.ts';

interface Members {
  readonly objects: UserObject[];
  readonly rings: Set<RingPrograms>;
}

const ofRuntimes = new WeakMap<Runtime, Members>();

function membersOf(runtime: Runtime): Members {
  let members = ofRuntimes.get(runtime);
  if (members === undefined) {
    members = { objects: [], rings: new Set() };
    ofRuntimes.set(runtime, members);
  }
  return members;
}

/**
 * Attaches the ring programs of an object to all rings of its runtime, those made later included. They share its maps and variables; numbers differ by
 * ring (`ring.programs.number(name)`). The object must outlive the rings. Throws as `attach` does; rings before the one that refused keep them.
 */
export function attachToRings(object: UserObject): void {
  const { objects, rings } = membersOf(object.runtime);
  for (const ring of rings) ring.attach(object);
  objects.push(object);
}

/** A new ring gets what all have. Returns what takes it out at its end. */
export function joinRings(runtime: Runtime, ring: RingPrograms): () => void {
  const { objects, rings } = membersOf(runtime);
  for (const object of objects) ring.attach(object);
  rings.add(ring);
  return () => rings.delete(ring);
}
