import { spawn } from 'node:child_process';

const TAIL_CHARACTERS = 4000;

/** Runs a program with this one's streams. Gives back its exit code; 1 where it could not be started or was killed. */
export function runInherited(program, args, options = {}) {
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: ['ignore', 2, 2], ...options });
    child.once('error', (error) => {
      process.stderr.write(`${program}: ${error.message}\n`);
      resolve(1);
    });
    child.once('exit', (code) => resolve(code ?? 1));
  });
}

/** Runs a program quietly. @throws an Error with the end of what it printed, where it fails */
export function runQuietly(program, args, options = {}) {
  return new Promise((resolve, reject) => {
    let printed = '';
    let stdout = '';
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
    child.stdout.setEncoding('utf8').on('data', (text) => {
      stdout += text;
      printed = (printed + text).slice(-TAIL_CHARACTERS);
    });
    child.stderr.setEncoding('utf8').on('data', (text) => {
      printed = (printed + text).slice(-TAIL_CHARACTERS);
    });
    child.once('error', (error) => reject(new Error(`${program} could not be started: ${error.message}`)));
    child.once('close', (code, signal) => {
      if (code === 0) resolve(stdout);
      else
        reject(
          new Error(
            `${program} ${args[0] ?? ''} ended with ${signal ?? `exit code ${code}`}:\n${printed.trim()}`,
          ),
        );
    });
  });
}

/** True where a program is on PATH. */
export async function hasProgram(name) {
  try {
    await runQuietly('sh', ['-c', 'command -v "$1"', 'sh', name]);
    return true;
  } catch {
    return false; // `command -v` says no by its exit code.
  }
}
