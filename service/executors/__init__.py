"""Where jobs are carried out: in processes of this machine, or by Ray."""
