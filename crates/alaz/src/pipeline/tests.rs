mod ledger;
mod own;
