export { storageContract, userContract, type ContractCase } from './storage-contract.ts'
