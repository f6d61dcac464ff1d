/** The station's words, as its OpenAPI has them (`npm run generate`), under the names this code uses. */

import type { components } from './generated/station'

type Schemas = components['schemas']

export type Alert = Schemas['Alert']
export type AlertPage = Schemas['AlertPage']
export type AlertState = Schemas['AlertState']
export type ErrorEllipse = Schemas['ErrorEllipse']
export type Evidence = Schemas['Evidence']
export type LiveState = Schemas['LiveState']
export type LiveStates = Schemas['LiveStates']
export type LocalText = Schemas['LocalText']
export type LoggedIn = Schemas['LoggedIn']
export type Severity = Schemas['Severity']
export type User = Schemas['User']
