module persistconn.bench/go

go 1.19
