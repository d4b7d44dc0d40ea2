/** docs/ownership-mutants.md: two parts, each written, and held against what it says, by a test. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const page = fileURLToPath(new URL('../docs/ownership-mutants.md', import.meta.url));

/** Headings that parts begin with. */
export const RULES_PART = '# Mutants of the rules of ownership';
export const PLANE_PART = '# Mutants of the plane';

function parts(): string[] {
  const text = existsSync(page) ? readFileSync(page, 'utf8') : '';
  return text.split(/^(?=# )/m);
}

export const mutantsPage = {
  /** The part, which ends with one newline; '' if there is none. */
  read(heading: string): string {
    return (
      parts()
        .find((each) => each.startsWith(`${heading}\n`))
        ?.replace(/\n+$/, '\n') ?? ''
    );
  },
  write(heading: string, text: string): void {
    const others = parts().filter((each) => !each.startsWith(`${heading}\n`));
    const all = heading === RULES_PART ? [text, ...others] : [...others, text];
    writeFileSync(page, all.map((each) => each.replace(/\n+$/, '\n')).join('\n'));
  },
};
