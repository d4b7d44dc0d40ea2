/** Programs of a path as the command line names them, loaded into one runtime: each object once, whatever of it is used. */
import { InputError } from '../errors.ts';
import { type InterfacePrograms, isRedirectMap, load, Runtime, type RuntimeOptions } from '../index.ts';
import type { ObjectChanges } from '../object/changes.ts';
import type { ProgramSpec } from '../object/spec.ts';
import { fillMaps, type MapInput } from '../runtime/json-value.ts';
import type { UserLoadOptions, UserObject } from '../runtime/load.ts';
import type { UserProgram } from '../runtime/program.ts';
import { withTailCallTargets } from '../testing/test-object.ts';
import { UsageError } from './exit.ts';
import { type Selection, select } from './selector.ts';

/** An element of a devmap, cpumap or xskmap. */
export interface ElementOption {
  readonly map: string;
  readonly key: number;
  /** Interface, length of the queue, or queue. */
  readonly to: number;
  /** Name of a program of the map's object. */
  readonly program?: string;
}

export interface PathProgramsOptions {
  /** Selectors of the programs of the interface that packets come in by, and of others. */
  readonly ingress: readonly string[];
  readonly others: ReadonlyMap<number, readonly string[]>;
  readonly elements: readonly ElementOption[];
  /** Verdicts of XDP after which the next program of a chain runs, by the name of the program; default: XDP_PASS, and 31. */
  readonly goesOn: ReadonlyMap<string, readonly number[]>;
  readonly maps: MapInput;
  readonly changes: ObjectChanges;
  readonly runtime: RuntimeOptions;
  readonly load: Pick<UserLoadOptions, 'engine' | 'unverified'>;
}

export interface PathPrograms {
  readonly ingress: InterfacePrograms;
  readonly others: Readonly<Record<number, InterfacePrograms>>;
  readonly runtime: Runtime;
  close(): void;
}

/** Where a program of a selection stands on a path: of a whole object, those of elements stand in maps. */
function placeOf(program: ProgramSpec): 'xdp' | 'tc' | undefined {
  if (program.type === 'xdp' && program.attachType !== 'xdp_devmap' && program.attachType !== 'xdp_cpumap')
    return 'xdp';
  return program.type === 'sched_cls' || program.type === 'sched_act' ? 'tc' : undefined;
}

/** Throws InputError for what cannot be loaded, UsageError for selectors that name nothing that a path has. */
export async function loadPath(options: PathProgramsOptions): Promise<PathPrograms> {
  const chosen = (selectors: readonly string[]) =>
    selectors.map((selector) => {
      const selection = select(selector, options.changes);
      const programs = selection.programs.filter((program) => placeOf(program) !== undefined);
      if (programs.length === 0) throw new UsageError(`${selector} has no program of XDP or tc to put on an interface`);
      return { ...selection, programs };
    });
  const ingress = chosen(options.ingress);
  const others = [...options.others].map(([index, selectors]) => [index, chosen(selectors)] as const);
  const selections = [...ingress, ...others.flatMap(([, each]) => each)];
  for (const name of options.goesOn.keys())
    if (!selections.some(({ programs }) => programs.some((program) => program.name === name)))
      throw new UsageError(`--goes-on ${name}: no program of that name is on the path`);
  const runtime = new Runtime(options.runtime);
  const objects = new Map<string, UserObject>();
  const close = () => {
    for (const object of objects.values()) object.close();
  };
  try {
    for (const { path, object } of selections) {
      if (objects.has(path)) continue;
      const used = selections.filter((each) => each.path === path).flatMap(({ programs }) => programs);
      const elements = options.elements.flatMap(({ program }) => {
        const spec = program === undefined ? undefined : object.programs.get(program);
        return spec === undefined ? [] : [spec];
      });
      const programs = [...new Set([...used, ...elements].flatMap((each) => withTailCallTargets(object, each)))];
      objects.set(path, await load(object, { ...options.load, runtime, programs }));
    }
    fill([...objects.values()], options);
    const programsOf = (list: readonly Selection[]): InterfacePrograms => {
      const all = list.flatMap(({ path, programs }) =>
        programs.map((spec) => ({ spec, program: objects.get(path)!.programs[spec.name] as UserProgram })),
      );
      const of = (place: 'xdp' | 'tc') =>
        all.filter(({ spec }) => placeOf(spec) === place).map(({ program }) => program);
      const link = (program: UserProgram) => {
        const goesOn = options.goesOn.get(program.name);
        return goesOn === undefined ? program : { program, goesOn };
      };
      return { xdp: of('xdp').map(link), tc: of('tc') };
    };
    return {
      ingress: programsOf(ingress),
      others: Object.fromEntries(others.map(([index, list]) => [index, programsOf(list)])),
      runtime,
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
}

function fill(objects: readonly UserObject[], { maps, elements }: PathProgramsOptions): void {
  const ownerOf = (name: string): UserObject => {
    const owner = objects.find((object) => object.maps[name] !== undefined);
    if (owner !== undefined) return owner;
    const known = objects.flatMap((object) => Object.keys(object.maps)).join(', ') || 'none';
    throw new InputError('SLUICE_NO_MAP', `no map ${name}; there are ${known}`);
  };
  for (const [name, content] of Object.entries(maps)) fillMaps(ownerOf(name), { [name]: content });
  for (const { map: name, key, to, program } of elements) {
    const owner = ownerOf(name);
    const map = owner.maps[name]!;
    if (!isRedirectMap(map))
      throw new InputError('SLUICE_NO_MAP', `map ${name} is of type ${map.type}: it leads nowhere`);
    const handle = program === undefined ? undefined : owner.programs[program];
    if (program !== undefined && handle === undefined)
      throw new InputError('SLUICE_NO_PROGRAM', `no program ${program} in the object of map ${name}`);
    map.put(key, to, handle);
  }
}
