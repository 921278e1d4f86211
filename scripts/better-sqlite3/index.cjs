'use strict'

const [major] = process.versions.node.split('.')
module.exports = require(Number(major) < 22 ? 'better-sqlite3-12' : 'better-sqlite3-13')
