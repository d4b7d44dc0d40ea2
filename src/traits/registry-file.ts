/**
 * A registry as a file: what one process registered, another goes on with. JSON, schema `sluice.traits/1` (docs/metadata.md):
 *
 *     { "schema": "sluice.traits/1", "epoch": 2,
 *       "traits": [{ "key": 1, "name": "flow_id", "size": 4, "policy": "EQUAL", "owner": "router", "persistent": false }],
 *       "freed": [{ "key": 0, "epoch": 2 }] }
 *
 * `policy` (KEEP_FIRST), `owner` and `persistent` may be left out; so may `epoch` and `freed`. Keys that only loaded objects use are not of the file: they go with the process.
 */
import { InputError } from '../errors.ts';
import { TRAIT_KEYS } from '../plane/layout/trait.ts';
import { type MergePolicy, mergePolicies, TRAIT_PERSISTENT } from './declaration.ts';
import { TraitRegistry, type TraitRequest } from './registry.ts';

export const REGISTRY_SCHEMA = 'sluice.traits/1';

export interface RegistryFile {
  readonly schema: typeof REGISTRY_SCHEMA;
  /** How often a key was freed. */
  readonly epoch: number;
  /** In the order of their keys. */
  readonly traits: readonly FileTrait[];
  /** Keys that were freed, registered again or not, and the epoch that began then. */
  readonly freed: readonly { readonly key: number; readonly epoch: number }[];
}

export interface FileTrait {
  readonly key: number;
  readonly name: string;
  readonly size: number;
  readonly policy: MergePolicy;
  readonly owner: string;
  readonly persistent: boolean;
}

/** What is kept of a registry beyond the process. */
export function exportRegistry(registry: TraitRegistry): RegistryFile {
  const keys = Array.from({ length: TRAIT_KEYS }, (_, key) => key);
  return {
    schema: REGISTRY_SCHEMA,
    epoch: registry.epoch,
    traits: registry
      .traits()
      .filter(({ kept, flags }) => kept || (flags & TRAIT_PERSISTENT) !== 0)
      .map(({ key, name, size, policy, owner, flags }) => ({
        key,
        name,
        size,
        policy,
        owner,
        persistent: (flags & TRAIT_PERSISTENT) !== 0,
      })),
    freed: keys.map((key) => ({ key, epoch: registry.voidBefore(key) })).filter(({ epoch }) => epoch !== 0),
  };
}

/** The text of a file, one trait a line. */
export function registryText(file: RegistryFile): string {
  const list = (name: string, items: readonly unknown[], end: string) =>
    items.length === 0
      ? `  "${name}": []${end}\n`
      : `  "${name}": [\n${items.map((item) => `    ${JSON.stringify(item)}`).join(',\n')}\n  ]${end}\n`;
  return `{\n  "schema": "${file.schema}",\n  "epoch": ${file.epoch},\n${list('traits', file.traits, ',')}${list('freed', file.freed, '')}}\n`;
}

/** Throws InputError `SLUICE_TRAITS_FILE` that says where the text is no registry, and what `register` throws for traits that do not go together. */
export function readRegistry(text: string, input = 'registry'): TraitRegistry {
  const { epoch, freed, traits } = parseRegistry(text, input);
  const registry = new TraitRegistry({ epoch, freed });
  for (const trait of traits) {
    try {
      registry.register(trait);
    } catch (error) {
      throw error instanceof InputError ? new InputError(error.code, error.message, { input }) : error;
    }
  }
  return registry;
}

/** Registers what a file has beside what is there; returns how many names are new. All or none: throws as `register` does for the first that does not fit. */
export function importRegistry(registry: TraitRegistry, text: string, input = 'registry'): number {
  const { traits } = parseRegistry(text, input);
  const added: string[] = [];
  try {
    for (const trait of traits) {
      const known = registry.get(trait.name) !== undefined;
      registry.register(trait);
      if (!known) added.push(trait.name);
    }
  } catch (error) {
    for (const name of added) registry.unregister(name);
    throw error instanceof InputError ? new InputError(error.code, error.message, { input }) : error;
  }
  return added.length;
}

interface Parsed {
  readonly epoch: number;
  readonly freed: readonly { readonly key: number; readonly epoch: number }[];
  readonly traits: readonly (TraitRequest & { readonly key: number })[];
}

function parseRegistry(text: string, input: string): Parsed {
  const bad = (path: string, why: string) => new InputError('SLUICE_TRAITS_FILE', `${path}: ${why}`, { input });
  let root: unknown;
  try {
    root = JSON.parse(text);
  } catch (error) {
    throw bad('$', `no JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  const fields = objectOf(root, '$', ['schema', 'epoch', 'traits', 'freed'], bad);
  if (fields['schema'] !== REGISTRY_SCHEMA) throw bad('$.schema', `must be "${REGISTRY_SCHEMA}"`);
  const whole = (value: unknown, path: string, most: number): number => {
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > most)
      throw bad(path, `must be a whole number from 0 to ${most}`);
    return value;
  };
  const epoch = whole(fields['epoch'] ?? 0, '$.epoch', 0xffff_ffff);
  const traits = listOf(fields['traits'] ?? [], '$.traits', bad).map((each, i) => {
    const path = `$.traits[${i}]`;
    const trait = objectOf(each, path, ['key', 'name', 'size', 'policy', 'owner', 'persistent'], bad);
    const { name, policy = 'KEEP_FIRST', owner = '', persistent = false } = trait;
    if (typeof name !== 'string') throw bad(`${path}.name`, 'must be text');
    if (typeof owner !== 'string') throw bad(`${path}.owner`, 'must be text');
    if (typeof persistent !== 'boolean') throw bad(`${path}.persistent`, 'must be true or false');
    if (!isPolicy(policy)) throw bad(`${path}.policy`, `must be one of ${Object.keys(mergePolicies).join(', ')}`);
    return {
      key: whole(trait['key'], `${path}.key`, TRAIT_KEYS - 1),
      size: whole(trait['size'], `${path}.size`, 16),
      name,
      policy,
      owner,
      flags: persistent ? TRAIT_PERSISTENT : 0,
    };
  });
  const freed = listOf(fields['freed'] ?? [], '$.freed', bad).map((each, i) => {
    const path = `$.freed[${i}]`;
    const item = objectOf(each, path, ['key', 'epoch'], bad);
    return {
      key: whole(item['key'], `${path}.key`, TRAIT_KEYS - 1),
      epoch: whole(item['epoch'], `${path}.epoch`, epoch),
    };
  });
  return { epoch, freed, traits };
}

type Bad = (path: string, why: string) => InputError;

function isPolicy(value: unknown): value is MergePolicy {
  return typeof value === 'string' && Object.hasOwn(mergePolicies, value);
}

function objectOf(value: unknown, path: string, names: readonly string[], bad: Bad): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw bad(path, 'must be an object');
  for (const name of Object.keys(value))
    if (!names.includes(name)) throw bad(`${path}.${name}`, `is not known; there is: ${names.join(', ')}`);
  return { ...value };
}

function listOf(value: unknown, path: string, bad: Bad): readonly unknown[] {
  if (!Array.isArray(value)) throw bad(path, 'must be a list');
  return value;
}
