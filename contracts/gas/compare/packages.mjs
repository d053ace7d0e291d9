// Contracts of others, from the packages in which they publish them: exactly these bytes.
// They are no dependencies of ours: their own (old, partly from git) would be installed with them.
// Deliberately not here: anything of them in this repository.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { contracts } from './chain.mjs';

const PACKAGES = {
  // Livepeer's protocol with builds, of its commit c6733bb3; MIT.
  livepeer: {
    name: '@livepeer/sdk@1.0.1-alpha.10',
    file: 'livepeer-sdk-1.0.1-alpha.10.tgz',
    sha512:
      '49OVRV6kGO3TCxDJTBAFbfNuB2/QstTXDKzfT/rw8sXD22hm82XTdYk3gs1cXR+Ky2kNaRLCLagQzPQjY/bp3A==',
  },
  // iExec's PoCo with builds; Apache-2.0.
  iexec: {
    name: '@iexec/poco@6.1.0',
    file: 'iexec-poco-6.1.0.tgz',
    sha512:
      'BPbDtf2fgQuotr6rf74ACVdwlKqkErEZ8qLbTWM+2CIBj2EX3+6KBGWsFoudoOGjgT7vUJ3jeNX8SWvHzSHg6A==',
  },
};

/** Fetches a package once and checks it; gives a function that reads its builds. */
export function builds(which) {
  const { name, file, sha512 } = PACKAGES[which];
  const folder = join(contracts, 'node_modules/.compared', which);
  const archive = join(folder, file);
  mkdirSync(folder, { recursive: true });
  if (!existsSync(archive)) {
    execFileSync('npm', ['pack', '--silent', '--pack-destination', folder, name], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  }
  const found = createHash('sha512').update(readFileSync(archive)).digest('base64');
  if (found !== sha512) {
    throw new Error(`${name} is not what was measured: sha512 ${found}, expected ${sha512}`);
  }
  if (!existsSync(join(folder, 'package'))) {
    execFileSync('tar', ['xzf', archive, '-C', folder]);
  }
  return (path) => {
    const text = readFileSync(join(folder, 'package', path), 'utf8');
    const { abi, bytecode, linkReferences } = JSON.parse(text);
    return { abi, bytecode, linkReferences };
  };
}

/** Puts addresses of libraries into code. */
export function linked(build, libraries) {
  let code = build.bytecode.slice(2);
  for (const file of Object.values(build.linkReferences ?? {})) {
    for (const [library, places] of Object.entries(file)) {
      const address = libraries[library].slice(2).toLowerCase();
      for (const { start } of places) {
        code = code.slice(0, start * 2) + address + code.slice(start * 2 + 40);
      }
    }
  }
  return { abi: build.abi, bytecode: `0x${code}` };
}
