drop table service_clients;
