cd /tmp/lead; export PYTHONPATH=/tmp/lead NONREDUNDANT_DATA=/work/shared/data OMP_NUM_THREADS=1
exec "$@"
