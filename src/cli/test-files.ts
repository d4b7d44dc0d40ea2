/** Where program tests are: files named *.bpf.test.json, found by path, folder or pattern. */
import { existsSync, statSync } from 'node:fs';
import { InputError } from '../errors.ts';
import { filesBelow } from './folder.ts';

const ENDING = '.bpf.test.json';

/**
 * A file; a folder and all below it; or a pattern in which `*` stands for what is in a name and `**` for folders. Sorted.
 * Throws InputError `SLUICE_NO_TESTS` where there is none, unless that is fine.
 */
export function findTestFiles(pattern: string, none?: 'none is fine'): string[] {
  if (existsSync(pattern) && statSync(pattern).isFile()) return [pattern];
  const found = existsSync(pattern)
    ? [...filesBelow(pattern)].filter((path) => path.endsWith(ENDING))
    : matching(pattern);
  if (found.length === 0 && none === undefined)
    throw new InputError('SLUICE_NO_TESTS', `no *${ENDING} there`, { input: pattern });
  return found.sort();
}

function matching(pattern: string): string[] {
  // The folder in front of the first wildcard is where to look.
  const fixed = pattern.split('/').slice(0, -1);
  const wild = fixed.findIndex((part) => part.includes('*'));
  const root = (wild < 0 ? fixed : fixed.slice(0, wild)).join('/');
  const from = root === '' ? (pattern.startsWith('/') ? '/' : '.') : root;
  if (!existsSync(from)) return [];
  const source = pattern
    .split(/(\*\*\/|\*)/)
    .map((part) => (part === '**/' ? '(?:.*/)?' : part === '*' ? '[^/]*' : part.replace(/[.+?^${}()|[\]\\]/g, '\\$&')))
    .join('');
  const expression = new RegExp(`^${source}$`);
  return [...filesBelow(from)].map((path) => path.replace(/^\.\//, '')).filter((path) => expression.test(path));
}
