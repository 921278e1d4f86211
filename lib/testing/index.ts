export { storageContract, type ContractCase } from './storage-contract.ts'
