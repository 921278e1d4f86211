// How views write moments.
const absolute = new Intl.DateTimeFormat('en', { dateStyle: 'medium', timeStyle: 'short', timeZone: 'UTC' })
const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto' })

const UNITS = [['day', 86_400], ['hour', 3600], ['minute', 60]]

export const formats = {
  moment: date => `${absolute.format(date)} UTC`,
  iso: date => date.toISOString(),
  /** Such as `3 minutes ago`, `in 29 days`. */
  ago (date) {
    const seconds = (date.getTime() - Date.now()) / 1000
    const [unit, length] = UNITS.find(([, length]) => Math.abs(seconds) >= length) ?? []
    return unit === undefined ? 'just now' : relative.format(Math.round(seconds / length), unit)
  }
}
