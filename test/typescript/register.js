// What .taprc gives to the process of each test file, so that it can import TypeScript.
import { register } from 'node:module'

register('./hooks.js', import.meta.url)
