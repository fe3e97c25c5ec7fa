mod ledger;
mod opt_out;
mod own;
