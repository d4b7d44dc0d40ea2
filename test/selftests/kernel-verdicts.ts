/** What this machine's kernel says of programs, kept in a file between runs: loading all of them takes minutes. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { loadLinux } from '../../src/linux/load.ts';
import { ProgramRefusedError } from '../../src/linux/syscall-error.ts';
import type { MapSpec, ObjectSpec, ProgramSpec } from '../../src/object/spec.ts';

export interface KernelVerdict {
  /** `none`: the kernel did not come to verify it (the log says why). */
  readonly verdict: 'accept' | 'reject' | 'none';
  /** End of the log, or of the error's text. */
  readonly log: string;
}

const LOG_KEPT = 1500;

/** Without maps that the program does not use; ring buffers whose size the test's user-space part sets get one. */
function loadable(object: ObjectSpec, program: ProgramSpec): ObjectSpec {
  const used = new Set<string>();
  for (const reference of program.references.values())
    if (reference.kind === 'map' || reference.kind === 'map-value') used.add(reference.map);
    else if (reference.kind === 'kconfig') used.add('.kconfig');
  // Maps that those hold are created with them.
  for (const [name, { contents }] of object.maps)
    if (used.has(name) && contents.kind === 'references')
      for (const target of contents.targets.values()) used.add(target);
  const maps = [...object.maps].flatMap(([name, map]): [string, MapSpec][] => {
    if (!used.has(name) && !isMethodOf(program, map)) return [];
    const ring = map.type === 'ringbuf' || map.type === 'user_ringbuf';
    return [[name, ring && map.maxEntries < 4096 ? { ...map, maxEntries: 4096 } : map]];
  });
  return { ...object, maps: new Map(maps) };
}

/** What a struct_ops program is verified as, its map says. */
function isMethodOf({ name }: ProgramSpec, { contents }: MapSpec): boolean {
  return contents.kind === 'struct-ops' && [...contents.programs.values()].includes(name);
}

export class KernelVerdicts {
  readonly #path: string | undefined;
  readonly #known: Record<string, KernelVerdict>;

  /** @param path JSON file; read if it is there, written by `save`. */
  constructor(path: string | undefined) {
    this.#path = path;
    // What `save` wrote.
    this.#known =
      path !== undefined && existsSync(path)
        ? (JSON.parse(readFileSync(path, 'utf8')) as Record<string, KernelVerdict>)
        : {};
  }

  of(object: ObjectSpec, program: ProgramSpec, flags: number): KernelVerdict {
    const key = `${object.name}:${program.name}`;
    const known = this.#known[key];
    if (known !== undefined) return known;
    let found: KernelVerdict;
    try {
      loadLinux(loadable(object, program), { programs: [program.name], flags }).close();
      found = { verdict: 'accept', log: '' };
    } catch (error) {
      const refused = error instanceof ProgramRefusedError;
      const log = refused ? error.log : error instanceof Error ? error.message : String(error);
      found = { verdict: refused ? 'reject' : 'none', log: log.slice(-LOG_KEPT) };
    }
    this.#known[key] = found;
    return found;
  }

  save(): void {
    if (this.#path !== undefined) writeFileSync(this.#path, JSON.stringify(this.#known));
  }
}
