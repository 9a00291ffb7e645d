/** What may be how large, and who may import whom: a file that is too long, or a circle, hides what belongs together. */

import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { expect, test } from 'vitest'

const SOURCE = import.meta.dirname
const FILE_LINES_MAX = 400
const COMPONENT_LINES_MAX = 100

const files = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' })
  .filter((name) => /\.tsx?$/.test(name) && !/\.test\.ts$|\.d\.ts$/.test(name))
  .map((name) => join(SOURCE, name))
const textOf = new Map(files.map((file) => [file, readFileSync(file, 'utf8')]))

/** The files of this folder that a file imports, types included; a dynamic import is none: it comes later. */
function importsOf(file: string): string[] {
  const found = textOf.get(file)?.matchAll(/^(?:import|export)[^'"]*?from '(\.[^']+)'/gm) ?? []
  return [...found]
    .map((match) => join(dirname(file), match[1] ?? ''))
    .filter((imported) => textOf.has(imported))
}

/** A circle of imports that goes through a file; undefined if there is none. */
function circleFrom(start: string): string[] | undefined {
  const seen = new Set<string>()
  const paths = [[start]]
  for (let path = paths.pop(); path; path = paths.pop()) {
    for (const next of importsOf(path.at(-1) ?? '')) {
      if (next === start) return [...path, start].map((file) => relative(SOURCE, file))
      if (seen.has(next)) continue
      seen.add(next)
      paths.push([...path, next])
    }
  }
  return undefined
}

/** The lines of each top-level function, by its name. */
function functionsOf(file: string): [string, number][] {
  const text = textOf.get(file) ?? ''
  const found = text.matchAll(/^(?:export )?(?:default )?(?:async )?function (\w+)[\s\S]*?^}$/gm)
  return [...found].map((match) => [match[1] ?? '', match[0].split('\n').length])
}

test('no file imports itself by way of others, types included', () => {
  expect(files.map(circleFrom).filter(Boolean)).toEqual([])
})

test('no file is too long to be read at once', () => {
  const long = files.filter((file) => (textOf.get(file)?.split('\n').length ?? 0) > FILE_LINES_MAX)
  expect(long.map((file) => relative(SOURCE, file))).toEqual([])
})

test('no component is longer than a screen or two', () => {
  const components = files.filter((file) => file.endsWith('.tsx')).flatMap(functionsOf)
  expect(components.filter(([, lines]) => lines > COMPONENT_LINES_MAX)).toEqual([])
})
